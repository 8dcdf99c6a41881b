"""Which checkpoints are kept, and which one is gone on from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tenfold.errors import OutputError, RunError
from tenfold.run import Run
from tenfold.training import keeper as module
from tenfold.training.checkpoint import Checkpoint, Progress
from tenfold.training.keeper import CheckpointInterval, Keeper


class Clock:
    """Stands in for the time module."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def keeper(tmp_path: Path, told: list[str]) -> Keeper:
    return Keeper(Run(tmp_path), CheckpointInterval(), told.append)


def at(step: int, weight: float = 0.5) -> Checkpoint:
    return Checkpoint(Progress(step=step), {"network/0/kernel": np.array([weight], np.float32)})


def names(keeper: Keeper) -> list[str]:
    return sorted(path.name for path in keeper.run.checkpoints_path.iterdir())


def test_the_last_two_are_kept(keeper: Keeper) -> None:
    for step in (1, 5, 9, 10_000_000_000):
        keeper.save(at(step))
    assert names(keeper) == ["step-000000009.checkpoint", "step-10000000000.checkpoint"]
    loaded = keeper.load()
    assert loaded is not None
    assert loaded.progress.step == 10_000_000_000


def test_a_damaged_one_is_passed_over_for_the_one_before_saying_so(
    keeper: Keeper, told: list[str]
) -> None:
    for step in (3, 7):
        keeper.save(at(step))
    last = keeper.run.checkpoints_path / "step-000000007.checkpoint"
    last.write_bytes(last.read_bytes()[:-1])
    loaded = keeper.load()
    assert loaded is not None
    assert loaded.progress.step == 3
    [line] = told
    assert line.startswith(f"checkpoint {last} is damaged: it is too short or too long; step-00000")
    keeper.save(at(5))  # which is newer than what was damaged, whatever that is called
    assert names(keeper) == ["step-000000003.checkpoint", "step-000000005.checkpoint"]


def test_where_all_are_damaged_there_is_none_and_that_is_said(
    keeper: Keeper, told: list[str]
) -> None:
    for step in (3, 7):
        keeper.save(at(step))
    for path in keeper.run.checkpoints_path.iterdir():
        path.write_bytes(b"")
    assert keeper.load() is None
    assert len(told) == 2
    assert told[1].endswith("the training begins again from its start")


def test_one_that_counts_on_lines_that_are_gone_is_passed_over(
    keeper: Keeper, told: list[str]
) -> None:
    keeper.run.metrics_path.write_text("{}\n")
    keeper.save(at(3))
    keeper.save(Checkpoint(Progress(step=5, files={"metrics.jsonl": 6})))
    loaded = keeper.load()
    assert loaded is not None
    assert loaded.progress.step == 3
    assert "metrics.jsonl is shorter than it was then" in told[0]


def test_what_a_killed_process_left_is_removed(keeper: Keeper) -> None:
    keeper.save(at(3))
    (keeper.run.checkpoints_path / ".step-000000004.0a1b2c3d.checkpoint").write_bytes(b"half")
    keeper.load()
    assert names(keeper) == ["step-000000003.checkpoint"]


def test_a_full_disk_keeps_the_ones_before_and_the_training_goes_on(
    keeper: Keeper, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.save(at(3))

    def full(path: Path, checkpoint: Checkpoint) -> None:
        raise OutputError(f"cannot write {path}: the disk is full; free some space")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_checkpoint", full)
        keeper.save(at(5))
    [line] = told
    assert line.startswith("no checkpoint after step 5: cannot write ")
    assert line.endswith(
        "the disk is full; free some space; training goes on, the checkpoint of step 3 is kept"
    )
    keeper.save(at(7))
    assert names(keeper) == ["step-000000003.checkpoint", "step-000000007.checkpoint"]


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.path.mkdir()
    keeper = Keeper(run, CheckpointInterval(), print)
    keeper.save(at(1))
    shutil.rmtree(run.path)
    with pytest.raises(OutputError, match="the folder is gone"):
        keeper.save(at(2))
    assert not run.path.exists()


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_weights_that_are_no_numbers_do_not_replace_good_ones(
    keeper: Keeper, weight: float
) -> None:
    keeper.save(at(1))
    with pytest.raises(RunError, match=r"after step 2: .*step-000000001\.checkpoint has the last"):
        keeper.save(at(2, weight))
    assert names(keeper) == ["step-000000001.checkpoint"]


def test_one_is_due_after_so_many_seconds_or_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    by_time = Keeper(Run(tmp_path), CheckpointInterval(seconds=30), print)
    by_step = Keeper(Run(tmp_path), CheckpointInterval(seconds=None, steps=4), print)
    assert not by_time.due(1000)
    assert [by_step.due(step) for step in (3, 4)] == [False, True]
    clock.now += 30
    assert by_time.due(1)
    assert not by_step.due(1)
    by_time.save(at(8))
    by_step.save(at(8))
    assert not by_time.due(9)
    assert [by_step.due(step) for step in (11, 12)] == [False, True]


def test_discarding_leaves_nothing_but_what_is_not_ours(keeper: Keeper) -> None:
    keeper.save(at(1))
    keeper.discard()
    assert not keeper.run.checkpoints_path.exists()
    keeper.discard()  # there is none
    keeper.save(at(1))
    (keeper.run.checkpoints_path / "step-mine.checkpoint").write_text("mine")
    keeper.discard()
    assert names(keeper) == ["step-mine.checkpoint"]
