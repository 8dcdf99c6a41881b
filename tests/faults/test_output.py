"""A training whose loss, disk, folder or clock fails it."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

import tenfold
from tenfold import files, machine
from tenfold.errors import OutputError, RecipeError, RunError
from tenfold.run import Run
from tenfold.training import checkpoint, keeper
from tenfold.training.checkpoint import read_checkpoint
from tenfold.training.keeper import CheckpointInterval

OVERRIDES = ("data.rows=60", "data.test_rows=40", "training.epochs=2", "training.batch_size=30")
EVERY = CheckpointInterval(seconds=None, steps=1)


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENFOLD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


class After(keras.callbacks.Callback):
    """Does something after so many steps."""

    def __init__(self, steps: int, act: Any) -> None:
        super().__init__()
        self._left, self._act = steps, act

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._left -= 1
        if self._left == 0:
            self._act(self.model)


def train(out: Path, *callbacks: keras.callbacks.Callback, **changes: Any) -> Run:
    return tenfold.train(
        "digits",
        "lab-1",
        overrides=OVERRIDES,
        out=out,
        checkpoints=EVERY,
        callbacks=lambda *_: callbacks,
        **changes,
    )


@pytest.mark.parametrize("place", [0, -1])
def test_a_training_that_diverges_ends_and_keeps_the_last_good_state(
    tmp_path: Path, place: int
) -> None:
    """Of the first weights the loss may show nothing: to some processors' ReLU, NaN is 0."""

    def spoil(model: Any) -> None:  # as an update by a rate that is too high does
        weights = model.network.trainable_variables[place]
        weights.assign(weights * float("nan"))

    with pytest.raises(RunError, match=r"after step 2: the training diverged; lower optimizer"):
        train(tmp_path / "run", After(2, spoil))
    kept = list(Run(tmp_path / "run").checkpoints_path.iterdir())
    assert [path.name for path in kept] == ["step-000000001.checkpoint"]
    assert read_checkpoint(kept[0]).progress.step == 1


def test_a_disk_that_is_full_for_a_while_costs_a_checkpoint_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, failures, told = checkpoint._put, iter([False] * 3 + [True]), []

    def full_once(file: Any, piece: Any) -> None:
        if next(failures, False):
            raise OSError(28, "No space left on device")
        put(file, piece)

    monkeypatch.setattr(checkpoint, "_put", full_once)
    assert train(tmp_path / "run", warn=told.append).finished
    [line] = told
    assert "the disk is full" in line
    assert "training goes on" in line


@pytest.mark.parametrize("name", ["details.json", "report.html"])
def test_a_disk_that_is_full_for_the_report_costs_the_report_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    sync, told = files._sync_file, []

    def full(path: Path) -> None:
        if path.name.startswith(f".{Path(name).stem}."):
            raise OSError(28, "No space left on device")
        sync(path)

    monkeypatch.setattr(files, "_sync_file", full)
    out = tmp_path / "again"
    run = train(out, warn=told.append)
    [line] = told
    assert line.startswith(f"there is no report: cannot write {out / name}: the disk is full")
    assert line.endswith(f"; then make it with: tenfold runs report {out}")
    assert run.finished
    assert run.onnx_path.exists()
    assert not (out / name).exists()
    assert [path.name for path in out.iterdir() if path.name[0] == "."] == []
    monkeypatch.setattr(files, "_sync_file", sync)
    assert run.report().exists()


def test_where_no_memory_is_free_the_training_is_refused_with_the_budget_that_would_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = dataclasses.replace(machine.describe(), memory_available=0)
    monkeypatch.setattr(machine, "describe", lambda: none)
    out = tmp_path / "run"
    with pytest.raises(RecipeError, match=r"does not fit .* even with 8 pictures") as refused:
        train(out)
    assert not (out / "metrics.jsonl").exists()  # not a step was trained
    assert not any(out.glob("checkpoints/*"))
    needed = machine.parse_memory(str(refused.value).rpartition("--memory ")[2])
    # What the process has grown by meanwhile is not what this is about.
    assert train(tmp_path / "again", memory=needed + 100_000_000).finished


def test_a_folder_that_is_removed_ends_the_training_and_is_not_made_again(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(OutputError, match=f"cannot write {out}: the folder is gone"):
        train(out, After(1, lambda _: shutil.rmtree(out)))
    assert not out.exists()


def test_a_folder_that_takes_no_more_ends_the_training_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The superuser, who may run this, is refused nothing; so a folder lies where the file would.
    out = tmp_path / "run"

    def block(_: Any) -> None:
        (out / "metrics.jsonl").mkdir()

    with pytest.raises(OutputError, match=r"cannot write .*metrics\.jsonl"):
        train(out, After(1, block), warn=lambda _: None)
    assert keeper.Keeper(Run(out), EVERY, print).load() is not None


def test_nothing_reckons_with_the_time_of_day() -> None:
    sources = Path(tenfold.__file__).parent.rglob("*.py")
    used = [path.name for path in sources if re.search(r"\btime\.time\(", path.read_text("utf-8"))]
    # Durations are differences of time.perf_counter; only the doctor asks what day it is.
    assert used == ["doctor.py"]
