"""Going on with a run: which one, under which conditions, and what comes of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import tenfold
from tenfold.api import Run, TrainingInterrupted
from tenfold.api._resume import check_unchanged, find_unfinished, reopen
from tenfold.data.dataset import open_dataset
from tenfold.errors import RecipeError, RunError
from tenfold.evaluation import load_result
from tenfold.run_lock import only_training_in
from tenfold.training.keeper import CheckpointInterval

OVERRIDES = (
    *("data.rows=60", "data.test_rows=40", "training.epochs=3", "training.batch_size=20"),
    "training.precision=float32",
)


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENFOLD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


class Strike(keras.callbacks.Callback):
    """Sends this process a signal after so many steps, unless that is 0."""

    def __init__(self, after: int, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.left, self.number, self.steps = after, number, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps += 1
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


def train(out: Path, strike: Strike, **changes: Any) -> Run:
    settings = {"overrides": OVERRIDES, "out": out, "callbacks": lambda *_: [strike]} | changes
    return tenfold.train("digits", "lab-1", **settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, _cache: None) -> Run:
    return train(tmp_path_factory.mktemp("finished") / "run", Strike(0))


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory, _cache: None) -> Run:
    out = tmp_path_factory.mktemp("interrupted") / "run"
    with pytest.raises(TrainingInterrupted) as caught:
        train(out, Strike(5))
    assert caught.value.reason == "SIGTERM"
    return caught.value.run


@pytest.fixture
def cut(interrupted: Run, tmp_path: Path) -> Run:
    """A copy of the interrupted run."""
    shutil.copytree(interrupted.path, tmp_path / "runs" / "cut")
    return Run(tmp_path / "runs" / "cut")


def lasting(run: Run) -> list[dict[str, Any]]:
    times = ("images_per_second", "seconds")
    return [{k: v for k, v in record.items() if k not in times} for record in run.metrics()]


def test_a_terminated_training_goes_on_and_ends_as_if_it_never_stopped(
    cut: Run, finished: Run
) -> None:
    (cut.path / ".model.0a1b2c3d.keras").write_bytes(b"half")  # of a process that was killed
    strike = Strike(0)
    resumed = tenfold.resume(cut.path, callbacks=lambda *_: [strike])
    assert strike.steps == 4  # of 9; 5 are in the checkpoint
    for ours, theirs in zip(
        keras.models.load_model(resumed.model_path).get_weights(),
        keras.models.load_model(finished.model_path).get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert lasting(resumed) == lasting(finished)
    ours, theirs = load_result(resumed), load_result(finished)
    assert (ours.test, ours.epochs, ours.steps) == (theirs.test, theirs.epochs, theirs.steps)
    assert {path.name for path in resumed.path.iterdir()} == {
        path.name for path in finished.path.iterdir()
    }


def test_a_finished_run_is_returned_as_it_is(finished: Run) -> None:
    before = finished.result_path.stat().st_mtime_ns
    told: list[str] = []
    assert tenfold.resume(finished.path, warn=told.append) == finished
    assert told == [f"run {finished.path} is finished already"]
    assert finished.result_path.stat().st_mtime_ns == before


def test_a_run_that_was_trained_but_not_tested_is_tested(finished: Run, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "tenfold.api._train.draw_curves",
            lambda *_, **__: os.kill(os.getpid(), signal.SIGINT),
        )
        with pytest.raises(TrainingInterrupted) as caught:
            train(out, Strike(0))
    assert caught.value.reason == "SIGINT"
    strike = Strike(0)
    resumed = tenfold.resume(out, callbacks=lambda *_: [strike])
    assert strike.steps == 0
    assert load_result(resumed).test == load_result(finished).test
    assert lasting(resumed) == lasting(finished)  # one test record, not two


def test_settings_may_be_repeated_and_not_changed(cut: Run) -> None:
    check_unchanged(cut, "digits", "lab-1", OVERRIDES)
    check_unchanged(cut, None, None, ["training.epochs=3"])
    with pytest.raises(RunError, match=r"began with training\.epochs = 3, and cannot .* with 4"):
        check_unchanged(cut, None, None, ["training.epochs=4"])
    with pytest.raises(RunError, match=r"began with model\.name = lab-1, and cannot .* lab-2"):
        check_unchanged(cut, None, "lab-2", ())
    with pytest.raises(RunError, match="began on digits, and cannot go on with cifar10"):
        check_unchanged(cut, "cifar10", None, ())
    with pytest.raises(RecipeError, match=r"did you mean 'training\.epochs'"):
        check_unchanged(cut, None, None, ["training.epoch=4"])


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_source_that_has_changed_is_refused_before_it_is_decoded(
    cut: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(cut.source_path, fingerprint="f" * 64)
    monkeypatch.setattr("tenfold.api._resume.open_dataset", pytest.fail)
    with pytest.raises(RunError, match=r"source digits has changed since run .* put it back"):
        tenfold.resume(cut.path)


def test_splits_that_were_made_by_hand_must_be_given(cut: Run) -> None:
    dataset = open_dataset("digits", rows=60, test_rows=40)
    change(cut.source_path, options={})
    names = ("mirror", "progress", "download_progress", "search_progress")
    nothing: dict[str, Any] = dict.fromkeys(names)
    with pytest.raises(RunError, match=r"made by hand; .* tenfold\.resume\(run, dataset\)"):
        reopen(cut, None, **nothing)
    assert reopen(cut, dataset, **nothing) is dataset
    fewer = replace(dataset, train=replace(dataset.train, indices=dataset.train.indices[:50]))
    with pytest.raises(RunError, match="began on other splits of digits"):
        reopen(cut, fewer, **nothing)


def test_two_trainings_in_one_folder_are_one_too_many(cut: Run) -> None:
    with only_training_in(cut.path), pytest.raises(RunError, match="another training is at work"):
        tenfold.resume(cut.path)


def test_other_versions_are_said_and_a_wrong_precision_is_damage(cut: Run, tmp_path: Path) -> None:
    from tenfold.api import _origins

    told: list[str] = []
    versions = cut.environment()["versions"]
    change(cut.environment_path, versions=versions | {"keras": "2.0"})
    _origins.read(cut, cut.recipe(), told.append)
    [line] = told
    assert line.startswith(f"keras 2.0 is now {versions['keras']}: the training may end in other")
    change(cut.environment_path, precision="float8")
    with pytest.raises(RunError, match=r"environment\.json, precision"):
        _origins.read(cut, cut.recipe(), told.append)


def test_the_run_to_go_on_with_is_the_one_here_or_the_newest_unfinished(
    cut: Run, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished.path, "runs/done")
    os.utime("runs/done/recipe.toml", (2**31, 2**31))  # newer, and there is nothing to do
    assert find_unfinished(None).path == Path("runs/cut")
    assert find_unfinished("runs/done").path == Path("runs/done")
    monkeypatch.chdir(cut.path)
    assert find_unfinished(None).path.resolve() == cut.path
    monkeypatch.chdir(tmp_path)
    shutil.rmtree("runs/cut")
    with pytest.raises(RunError, match=r"no unfinished run in runs; name .* --out"):
        find_unfinished(None)
    with pytest.raises(RunError, match="no run at runs/cut"):
        find_unfinished("runs/cut")


def test_what_is_killed_before_its_first_checkpoint_begins_again(cut: Run, finished: Run) -> None:
    shutil.rmtree(cut.checkpoints_path)
    cut.environment_path.unlink()  # cut off even before that
    strike = Strike(2)
    every = CheckpointInterval(seconds=None, steps=1)
    with pytest.raises(TrainingInterrupted):
        tenfold.resume(cut.path, checkpoints=every, callbacks=lambda *_: [strike])
    assert strike.steps == 2
    assert tenfold.resume(cut.path).metrics()[-1] == finished.metrics()[-1]
