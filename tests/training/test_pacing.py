"""Trainings whose length is decided by a clock, which is simulated here, or was decided before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tenfold.data.dataset import Dataset
from tenfold.data.normalization import Normalization
from tenfold.models import build_network
from tenfold.recipe import Recipe, load_recipe
from tenfold.run import Run
from tenfold.training import pacing
from tenfold.training.fit import Fitted, fit
from tenfold.training.keeper import CheckpointInterval, Keeper
from tenfold.training.pacing import TimeBudget
from tenfold.training.portions import Portions
from tenfold.training.recorder import Recorder
from tenfold.training.time_budget import TimeBudgetError

EVERY = CheckpointInterval(seconds=None, steps=1)
RECIPE = load_recipe(
    "lab-1",
    [
        *("training.batch_size=16", "training.epochs=3", "seed=3"),
        *("augmentation.flip=random", "optimizer.name=adamw"),
    ],
)
STEPS_PER_EPOCH = 3  # of 40 pictures


class Computer(keras.callbacks.Callback):
    """Turns the clock: a step takes a second, a batch of a validation a fifth of one.

    Called after the callback that keeps the time, so that each step is seen with the next one.
    """

    def __init__(self, step: Callable[[int], float] = lambda step: 1.0) -> None:
        super().__init__()
        self.now, self.steps = 0.0, 0
        self._seconds = step
        self.act: Callable[[int], None] = lambda step: None

    def perf_counter(self) -> float:
        return self.now

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps += 1
        done = int(self.model.optimizer.iterations)
        self.now += self._seconds(done)
        self.act(done)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.now += 0.2


@dataclass
class Outcome:
    weights: list[Any]
    metrics: list[dict[str, Any]]
    fitted: Fitted
    computer: Computer

    def of(self, event: str, *keys: str) -> list[Any]:
        found = [record for record in self.metrics if record["event"] == event]
        return [tuple(record[key] for key in keys) for record in found]

    def assert_same_bits(self, other: Outcome) -> None:
        for ours, theirs in zip(self.weights, other.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        keys = ("step", "loss", "accuracy", "learning_rate")
        assert self.of("step", *keys) == other.of("step", *keys)


@pytest.fixture(scope="module")
def dataset(make_dataset: Callable[..., Dataset]) -> Dataset:
    return make_dataset(train=40)


@pytest.fixture
def train(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Trains in a folder, from what lies there on."""

    def run(
        name: str,
        recipe: Recipe = RECIPE,
        seconds: float | None = None,
        computer: Computer | None = None,
        *,
        kept: bool = False,
        **changes: Any,
    ) -> Outcome:
        computer = computer or Computer()
        monkeypatch.setattr(pacing, "time", computer)
        folder = Run(tmp_path / name)
        folder.path.mkdir(exist_ok=True)
        network = build_network(recipe.model, size=8, classes=3, seed=recipe.seed)
        budget = seconds and TimeBudget(
            seconds, changes.pop("most_epochs", 40), folder.record, changes.pop("phases", None)
        )
        recorder = Recorder(folder, pictures=40, batch_size=16, every=1)
        fitted = fit(
            network,
            recipe,
            dataset,
            Normalization.fit("standard", dataset),
            [recorder, computer],
            keeper=Keeper(folder, EVERY, pytest.fail) if kept else None,
            time_budget=budget or None,
            **changes,
        )
        return Outcome(network.get_weights(), folder.metrics(), fitted, computer)

    return run


Train = Callable[..., Outcome]


def repeat(fitted: Fitted) -> Recipe:
    return RECIPE.overridden(
        [
            f"training.steps={fitted.planned_steps}",
            f"schedule.plans={[list(plan) for plan in fitted.plans]}",
        ]
    )


def test_the_training_is_as_long_as_the_time_and_the_rate_comes_down(train: Train) -> None:
    outcome = train("run", seconds=19)
    assert 16 <= outcome.computer.now <= 19
    assert outcome.fitted.planned_steps == outcome.computer.steps
    assert outcome.computer.steps % STEPS_PER_EPOCH  # the last epoch is short
    rates = [rate for (rate,) in outcome.of("step", "learning_rate")]
    assert max(rates) == pytest.approx(RECIPE.optimizer.learning_rate, rel=0.1)
    assert rates[-1] == pytest.approx(0.0, abs=1e-6)  # that of the step after the last
    # Every epoch was validated, the short one too.
    epochs = outcome.of("epoch", "epoch", "step", "validation_loss")
    assert len(epochs) == outcome.fitted.epochs == -(-outcome.computer.steps // STEPS_PER_EPOCH)
    assert outcome.of("plan", "planned_steps")[-1] == (outcome.computer.steps,)


def test_it_is_repeated_to_the_bit_by_its_plans_at_another_speed_and_across_a_stop(
    train: Train, tmp_path: Path
) -> None:
    slows = Computer(lambda step: 1.0 if step < 8 else 2.0)
    timed = train("run", seconds=25, computer=slows)
    assert len(timed.fitted.plans) > 2
    computer = Computer(lambda step: 7.0)
    computer.act = lambda step: (
        shutil.copytree(tmp_path / "again", tmp_path / "copy") if step == 12 else None
    )
    repeated = train("again", repeat(timed.fitted), computer=computer, kept=True)
    repeated.assert_same_bits(timed)
    assert repeated.fitted.epochs == timed.fitted.epochs
    resumed = train("copy", repeat(timed.fitted), kept=True)
    resumed.assert_same_bits(timed)
    assert 0 < resumed.computer.steps < repeated.computer.steps


def test_resumed_it_goes_on_with_its_plans_and_what_is_left_of_the_time(
    train: Train, tmp_path: Path
) -> None:
    computer = Computer()
    computer.act = lambda step: (
        shutil.copytree(tmp_path / "run", tmp_path / "copy") if step == 12 else None
    )
    whole = train("run", seconds=20, computer=computer, kept=True)
    resumed = train("copy", seconds=20, kept=True)
    assert 5 <= resumed.computer.steps <= 9  # of 20 seconds, 11 steps and 3 validations are used
    kept = [plan for plan in whole.fitted.plans if plan[0] <= 11]
    assert list(resumed.fitted.plans[: len(kept)]) == kept
    # The stop left no trace but in the plans: a training that follows them ends in the same bits.
    train("again", repeat(resumed.fitted)).assert_same_bits(resumed)


def test_steps_alone_stretch_the_schedule_and_may_end_within_an_epoch(train: Train) -> None:
    whole = train("whole", RECIPE)
    same = train("same", RECIPE.overridden(["training.steps=9", "training.epochs=70"]))
    np.testing.assert_allclose(
        same.of("step", "step", "learning_rate"), whole.of("step", "step", "learning_rate"), 1e-4
    )
    short = train("short", RECIPE.overridden(["training.steps=7"]))
    assert short.computer.steps == 7
    assert short.fitted.epochs == 3
    assert short.of("epoch", "step") == [(3,), (6,), (7,)]


def test_looking_at_how_long_an_evaluation_takes_changes_no_bit(train: Train) -> None:
    timed = train("timed", seconds=200, most_epochs=3)  # the time for many more
    plain = train("plain", RECIPE.overridden(["training.steps=9"]))
    timed.assert_same_bits(plain)
    assert timed.computer.steps == 9


def test_with_early_stopping_the_best_weights_are_kept_and_it_ends_early(train: Train) -> None:
    bouncing = ["optimizer.learning_rate=10.0", "optimizer.name=sgd", "optimizer.clip_norm=1.0"]
    recipe = RECIPE.overridden([*bouncing, "training.early_stopping=1"])
    outcome = train("run", recipe, seconds=100)
    assert outcome.computer.now < 50
    assert outcome.fitted.best_epoch is not None


def test_a_batch_in_parts_counts_as_one_step(train: Train) -> None:
    outcome = train("run", seconds=20, portions=Portions(training=6, evaluation=7))
    assert 16 <= outcome.computer.now <= 20
    assert outcome.fitted.planned_steps == outcome.computer.steps


def test_too_little_time_is_refused_and_leaves_no_model_half_trained(train: Train) -> None:
    with pytest.raises(TimeBudgetError, match="a time budget of 4 s is too short"):
        train("run", seconds=4)
