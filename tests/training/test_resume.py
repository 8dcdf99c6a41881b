"""A training that goes on from a checkpoint ends in the same bits as one that never stopped.

What a kill leaves is what lies on the disk at that moment, so a copy of the run's folder is as good
as a kill; tests/faults kills for real.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tenfold.data.dataset import Dataset
from tenfold.data.normalization import Normalization
from tenfold.errors import RunError
from tenfold.models import build_network
from tenfold.recipe import Recipe, load_recipe
from tenfold.run import Run
from tenfold.training.checkpoint import Checkpoint
from tenfold.training.fit import Fitted, fit
from tenfold.training.keeper import CheckpointInterval, Keeper
from tenfold.training.portions import Portions
from tenfold.training.recorder import Recorder
from tenfold.training.stop import Stop, TrainingStopped
from tenfold.training.tensorboard import TensorBoard

PICTURES, BATCH, EPOCHS = 40, 16, 3  # 3 steps an epoch, the last of 8 pictures
EVERY = CheckpointInterval(seconds=None, steps=1)
TIMES = ("images_per_second", "seconds")


@dataclass
class Outcome:
    """What a training came to, as far as it must not depend on whether it was stopped."""

    weights: list[NDArray[Any]]
    metrics: list[dict[str, Any]]
    points: dict[str, list[tuple[int, bytes]]]
    fitted: Fitted
    steps: int  # that this process did

    def assert_same_as(self, other: Outcome) -> None:
        assert self.metrics == other.metrics
        assert self.points == other.points
        assert self.fitted == other.fitted
        for ours, theirs in zip(self.weights, other.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


class Watcher(keras.callbacks.Callback):
    """Counts steps, and does something at each event of Keras's protocol."""

    def __init__(self, act: Callable[[str, int], None]) -> None:
        super().__init__()
        self._act = act
        self.steps = self.tested = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps += 1
        self._act("step", self.steps)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.tested += 1
        self._act("validation", self.tested)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._act("epoch", epoch)

    def on_train_end(self, logs: Any = None) -> None:
        self._act("end", 0)


def train(
    folder: Path,
    recipe: Recipe,
    dataset: Dataset,
    act: Callable[[str, int], None] = lambda event, number: None,
    *,
    stop: Stop | None = None,
    precision: Any = "float32",
    portions: Portions | None = None,
) -> Outcome:
    """Train in a folder, from what lies there on."""
    run = Run(folder)
    folder.mkdir(exist_ok=True)
    network = build_network(recipe.model, size=8, classes=3, seed=recipe.seed, precision=precision)
    normalization = Normalization.fit("standard", dataset)
    batch = recipe.training.batch_size
    watcher = Watcher(act)
    board = TensorBoard(
        run.tensorboard_path,
        sample_inputs=np.zeros((2, 8, 8, 3), np.float32),
        sample_pictures=np.zeros((2, 8, 8, 3), np.uint8),
        layers=[],
        batch_size=batch,
        every=2,
    )
    callbacks: Sequence[keras.callbacks.Callback] = [
        Recorder(run, pictures=PICTURES, batch_size=batch, every=2),
        board,
        watcher,
    ]
    fitted = fit(
        network,
        recipe,
        dataset,
        normalization,
        callbacks,
        keeper=Keeper(run, EVERY, pytest.fail),
        stop=stop,
        portions=portions,
    )
    board.write_test(0.5, step=99)
    return Outcome(
        network.get_weights(),
        [{k: v for k, v in one.items() if k not in TIMES} for one in run.metrics()],
        points(run),
        fitted,
        watcher.steps,
    )


def points(run: Run) -> dict[str, list[tuple[int, bytes]]]:
    """What TensorBoard shows, all but the speed."""
    events = EventAccumulator(str(run.tensorboard_path), size_guidance={"tensors": 0})
    events.Reload()
    return {
        tag: [(point.step, point.tensor_proto.SerializeToString()) for point in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
        if tag != "images_per_second"
    }


@pytest.fixture(scope="module")
def dataset(make_dataset: Callable[..., Dataset]) -> Dataset:
    return make_dataset(train=PICTURES)


def recipe_of(name: str, *overrides: str) -> Recipe:
    settings = [f"training.epochs={EPOCHS}", f"training.batch_size={BATCH}", "seed=3"]
    return load_recipe(name, [*settings, *overrides])


# With all that has a state of its own: two moments, dropout, averages, statistics, best weights.
# Pictures are mirrored and not shifted, which each training would compile anew for each batch size.
FULL = recipe_of(
    "lab-2",
    *("training.average=0.8", "training.early_stopping=5", "optimizer.name=adamw"),
    *("augmentation.flip=random", "augmentation.width_shift=0", "augmentation.height_shift=0"),
)

SMALL = Portions(BATCH, evaluation=7)  # so that a validation has three batches

MOMENTS = {
    "before the first step was saved": ("step", 1, 9),
    "in the middle of an epoch": ("step", 6, 4),
    "in a validation": ("validation", 5, 3),
    "between two epochs": ("epoch", 2, 3),
    "after the last": ("end", 0, 0),
}
"""The event at which a kill strikes, its number, and the steps that are left to do."""


@pytest.fixture(scope="module")
def whole(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    """A training that never stopped, and copies of its folder at each of the moments."""
    folder = tmp_path_factory.mktemp("whole")

    def copy(event: str, number: int) -> None:
        for name, (of_event, of_number, _) in MOMENTS.items():
            if (event, number) == (of_event, of_number):
                shutil.copytree(folder / "run", folder / name)

    return train(folder / "run", FULL, dataset, copy, portions=SMALL), folder


@pytest.mark.parametrize("moment", MOMENTS)
def test_whenever_it_is_killed_it_ends_in_the_same_bits(
    whole: tuple[Outcome, Path], dataset: Dataset, moment: str
) -> None:
    expected, folder = whole
    resumed = train(folder / moment, FULL, dataset, portions=SMALL)
    resumed.assert_same_as(expected)
    assert resumed.steps == MOMENTS[moment][2]


@pytest.mark.parametrize("event", [("step", 6), ("validation", 2)])
def test_asked_to_stop_it_saves_first_and_goes_on_without_doing_anything_again(
    whole: tuple[Outcome, Path], dataset: Dataset, tmp_path: Path, event: tuple[str, int]
) -> None:
    stop = Stop()
    done = 0

    def ask(name: str, number: int) -> None:
        nonlocal done
        done += name == "step"
        if (name, number) == event:
            stop.reason = "time budget"

    with pytest.raises(TrainingStopped, match="time budget"):
        train(tmp_path / "run", FULL, dataset, ask, stop=stop, portions=SMALL)
    resumed = train(tmp_path / "run", FULL, dataset, portions=SMALL)
    resumed.assert_same_as(whole[0])
    assert done + resumed.steps == 9


# The shipped recipes are all killed by tests/faults/kill.py; here is what they are made of.
OTHERS = [
    pytest.param("lab-1-original", "float32", (), None, id="rmsprop, in the store's order"),
    pytest.param("lab-2", "bf16", (), None, id="muon in bf16, shifted"),
    pytest.param(
        "lab-2",
        "float32",
        (
            *("optimizer.name=sgd", "augmentation.mixup=0.4"),
            *("augmentation.width_shift=0", "augmentation.height_shift=0"),
        ),
        Portions(training=6, evaluation=7),
        id="sgd, mixed up and in parts",
    ),
    pytest.param(
        "resnet-20",
        "float32",
        (
            *("training.share=0.9", "training.whole_epochs=1", "optimizer.name=muon-sgd"),
            *("training.small_size=4", "training.small_share=0.5"),
            *("augmentation.width_shift=0", "augmentation.height_shift=0"),
        ),
        None,
        id="the hardest, smaller ones first",
    ),
]


@pytest.mark.parametrize(("name", "precision", "overrides", "portions"), OTHERS)
def test_whatever_is_trained_ends_in_the_same_bits(
    dataset: Dataset,
    tmp_path: Path,
    name: str,
    precision: str,
    overrides: tuple[str, ...],
    portions: Portions | None,
) -> None:
    recipe = recipe_of(name, "training.epochs=2", *overrides)

    def copy(event: str, number: int) -> None:
        if (event, number) == ("step", 5):  # the fourth, in the second epoch, is saved
            shutil.copytree(tmp_path / "run", tmp_path / "copy")

    settings: Any = {"precision": precision, "portions": portions}
    expected = train(tmp_path / "run", recipe, dataset, copy, **settings)
    resumed = train(tmp_path / "copy", recipe, dataset, **settings)
    resumed.assert_same_as(expected)
    assert resumed.steps == 2


def test_a_training_that_a_callback_ended_is_not_trained_further(
    dataset: Dataset, tmp_path: Path
) -> None:
    recipe = recipe_of("lab-1", "training.epochs=9", "training.early_stopping=1")
    bouncing = ["optimizer.learning_rate=10.0", "optimizer.name=sgd", "optimizer.clip_norm=1.0"]
    recipe = recipe.overridden(bouncing)

    def copy(event: str, number: int) -> None:
        if event == "end":
            shutil.copytree(tmp_path / "run", tmp_path / "copy")

    expected = train(tmp_path / "run", recipe, dataset, copy)
    assert expected.fitted.epochs < 9
    resumed = train(tmp_path / "copy", recipe, dataset)
    resumed.assert_same_as(expected)
    assert resumed.steps == 0


def test_a_checkpoint_of_another_network_is_refused(
    whole: tuple[Outcome, Path], dataset: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(whole[1] / "run", tmp_path / "run")
    with pytest.raises(RunError, match="does not fit this training"):
        train(tmp_path / "run", FULL.overridden(["model.name=lab-1"]), dataset)


@pytest.mark.parametrize(
    "changes", [{"epoch": 4}, {"epoch": 1, "stopped": False}, {"validated": 4}, {"step": 1}]
)
def test_a_checkpoint_that_counts_otherwise_is_refused(
    whole: tuple[Outcome, Path], dataset: Dataset, tmp_path: Path, changes: dict[str, Any]
) -> None:
    shutil.copytree(whole[1] / "run", tmp_path / "run")
    keeper = Keeper(Run(tmp_path / "run"), EVERY, pytest.fail)
    found = keeper.load()
    assert found is not None
    keeper.discard()
    keeper.save(Checkpoint(found.progress.model_copy(update=changes), found.arrays))
    with pytest.raises(RunError, match="its numbers of steps are another training's"):
        train(tmp_path / "run", FULL, dataset)


def test_a_checkpoint_whose_callbacks_kept_something_else_is_refused(
    whole: tuple[Outcome, Path], dataset: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(whole[1] / "run", tmp_path / "run")
    keeper = Keeper(Run(tmp_path / "run"), EVERY, pytest.fail)
    found = keeper.load()
    assert found is not None
    kept = {**found.progress.callbacks, "Recorder": {"steps": None}}
    keeper.save(Checkpoint(found.progress.model_copy(update={"callbacks": kept}), found.arrays))
    with pytest.raises(RunError, match="what it holds of Recorder"):
        train(tmp_path / "run", FULL, dataset)
