"""The checkpoints of one run: when they are due, which are kept, and which one is gone on from."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.errors import OutputError, RunError
from tenfold.files import remove_leftovers
from tenfold.run import Run
from tenfold.training import growing
from tenfold.training.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    read_checkpoint,
    write_checkpoint,
)

_KEPT = 2
_SUFFIX = ".checkpoint"

Warn = Callable[[str], None]


@dataclass(frozen=True)
class CheckpointInterval:
    """How much work may be at risk; the end of each epoch and a stop have a checkpoint anyway.

    Attributes:
        seconds: the most between two checkpoints; one step may exceed it. None: any number.
        steps: likewise.
    """

    seconds: float | None = 30.0
    steps: int | None = None


class Keeper:
    """Saves and loads the checkpoints of a run.

    Args:
        run: whose they are.
        interval: how often to save.
        warn: told in one line what went wrong and does not end the training.
    """

    def __init__(self, run: Run, interval: CheckpointInterval, warn: Warn) -> None:
        self.run = run
        self.seconds = 0.0
        """Time spent on saving."""
        self._interval = interval
        self._warn = warn
        self._last_step = 0
        self._last_time = time.perf_counter()

    def due(self, step: int) -> bool:
        """Whether a checkpoint is due after a number of steps."""
        steps, seconds = self._interval.steps, self._interval.seconds
        return (steps is not None and step - self._last_step >= steps) or (
            seconds is not None and time.perf_counter() - self._last_time >= seconds
        )

    def save(self, checkpoint: Checkpoint) -> None:
        """Save a checkpoint, and remove all but the last two.

        Where the disk does not take it, the training goes on: those before are still there, and
        the next may fit.

        Raises:
            OutputError: the run's folder is gone.
            RunError: the training diverged, although its loss may not show it: an activation of
                NaN is 0 to some processors' ReLU.
        """
        began = time.perf_counter()
        step = checkpoint.progress.step
        self._last_step = step
        if not self.run.path.is_dir():
            raise OutputError(f"cannot write {self.run.path}: the folder is gone; train again")
        if _diverged(checkpoint):
            left = self._paths()
            raise RunError(
                f"some weights are no longer numbers after step {step:,}: the training diverged; "
                "lower optimizer.learning_rate, or set optimizer.clip_norm=1"
                + (f"; {left[0]} has the last state before that" if left else "")
            )
        try:
            write_checkpoint(self._path(step), checkpoint)
        except OutputError as error:
            left = self._paths()
            kept = f"the checkpoint of step {_step(left[0]):,} is kept" if left else "there is none"
            self._warn(f"no checkpoint after step {step:,}: {error}; training goes on, {kept}")
        else:
            for old in self._paths()[_KEPT:]:
                old.unlink(missing_ok=True)
        self._last_time = time.perf_counter()
        self.seconds += self._last_time - began

    def load(self) -> Checkpoint | None:
        """The latest checkpoint that is whole; None where there is none at all.

        A damaged one is passed over with a warning, and removed: else it would be taken for newer
        than those that follow.

        Raises:
            RunError: the disk does not give a file.
        """
        remove_leftovers(self.run.checkpoints_path)
        paths = self._paths()
        for place, path in enumerate(paths):
            try:
                checkpoint = read_checkpoint(path)
                short = growing.lacking(self.run, checkpoint.progress.files)
                if short is not None:
                    raise DamagedCheckpointError(f"{short} is shorter than it was then")
            except DamagedCheckpointError as error:
                instead = (
                    f"{paths[place + 1].name}, the one before, is tried"
                    if place + 1 < len(paths)
                    else "the training begins again from its start"
                )
                self._warn(f"checkpoint {path} is damaged: {error}; {instead}")
                path.unlink()
            except OSError as error:
                raise RunError(
                    f"checkpoint {path} cannot be read ({error.strerror}); see to the disk, or "
                    "remove that file to go on from the one before"
                ) from None
            else:
                self._last_step = checkpoint.progress.step
                return checkpoint
        return None

    def discard(self) -> None:
        """Remove every checkpoint: the run is finished."""
        remove_leftovers(self.run.checkpoints_path)
        for path in self._paths():
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it is not there, or holds something of the user's
            self.run.checkpoints_path.rmdir()

    def _path(self, step: int) -> Path:
        return self.run.checkpoints_path / f"step-{step:09}{_SUFFIX}"

    def _paths(self) -> list[Path]:
        """Latest first."""
        found = self.run.checkpoints_path.glob(f"step-[0-9]*{_SUFFIX}")
        return sorted((path for path in found if path.stem[5:].isdigit()), key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _diverged(checkpoint: Checkpoint) -> bool:
    return not all(
        np.isfinite(values).all()
        for name, values in checkpoint.arrays.items()
        if name.startswith("network/") and values.dtype.kind == "f"
    )
