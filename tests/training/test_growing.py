"""Cutting the files of a run back to a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.run import Run
from tenfold.training.growing import cut_back, lacking, sizes


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "run")
    run.tensorboard_path.mkdir(parents=True)
    run.metrics_path.write_text("one\n")
    (run.tensorboard_path / "events.1").write_text("first")
    return run


def test_what_was_written_after_is_taken_off(run: Run) -> None:
    then = sizes(run)
    assert then == {"metrics.jsonl": 4, "tensorboard/events.1": 5}
    run.metrics_path.write_text("one\ntwo\n")
    (run.tensorboard_path / "events.1").write_text("first and more")
    (run.tensorboard_path / "events.2").write_text("second")
    assert lacking(run, then) is None
    cut_back(run, then)
    assert run.metrics_path.read_text() == "one\n"
    assert [path.read_text() for path in run.tensorboard_path.iterdir()] == ["first"]


def test_back_to_the_start_nothing_is_left(run: Run) -> None:
    cut_back(run, {})
    assert not run.metrics_path.exists()
    assert not list(run.tensorboard_path.iterdir())


def test_a_file_that_lost_something_is_named(run: Run) -> None:
    assert lacking(run, {"metrics.jsonl": 5}) == "metrics.jsonl"
    assert lacking(run, {"tensorboard/events.0": 1}) == "tensorboard/events.0"


def test_no_name_in_a_checkpoint_reaches_outside(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    cut_back(run, {"../mine": 1, "recipe.toml": 0})
    assert (tmp_path / "mine").read_text() == "mine"
