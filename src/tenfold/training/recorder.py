"""What was measured on the way, into the run's metrics file."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from numpy.typing import NDArray

from tenfold.errors import RunError
from tenfold.run import Run
from tenfold.training.snapshot import Arrays, Numbers


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Appends a record every ``every`` steps and after each epoch, and ends a hopeless training.

    ``loss`` and ``accuracy`` are means over the epoch so far. ``learning_rate`` is the one that the
    next step takes. ``images_per_second`` counts the training alone: validation has its own time.

    Args:
        run: whose metrics file it is.
        pictures: pictures in the training split.
        batch_size: pictures in a step.
        every: steps between two records.

    Raises:
        RunError: from within ``fit``, after the first step whose loss is no number.
        OutputError: from within ``fit``: the disk takes no more.
    """

    def __init__(self, run: Run, *, pictures: int, batch_size: int, every: int = 50) -> None:
        super().__init__()
        self.seconds = 0.0
        """Time spent in training steps so far."""
        self.steps = 0
        """Steps trained so far."""
        self._run = run
        self._pictures = pictures
        self._batch_size = batch_size
        self._every = every
        self._epoch = 0
        self._running = False  # whether an epoch is
        self._epoch_began = 0.0
        self._last_step_ended = 0.0
        self._epoch_seconds = 0.0  # of the epoch's steps, in processes before this one

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the epoch's clock."""
        self._epoch, self._running = epoch, True
        self._last_step_ended = time.perf_counter()
        self._epoch_began = self._last_step_ended - self._epoch_seconds

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Record the step where one is due."""
        logs = logs or {}
        self.steps += 1
        self._last_step_ended = time.perf_counter()
        if not math.isfinite(logs["loss"]):
            raise RunError(
                f"the loss is no longer a number after step {self.steps}: the training diverged; "
                f"lower optimizer.learning_rate, or set optimizer.clip_norm=1{self._last_good()}"
            )
        if self.steps % self._every == 0:
            seen = min((batch + 1) * self._batch_size, self._pictures)
            training = self._training(logs, seen)
            done = self._epoch + seen / self._pictures
            self._run.record({"event": "step", "step": self.steps, "epoch": done, **training})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Record the epoch, with the validation where there is one."""
        logs = logs or {}
        took = self._last_step_ended - self._epoch_began
        self.seconds += took
        self._epoch_seconds, self._running = 0.0, False
        record = {
            "event": "epoch",
            "epoch": epoch + 1,
            "step": self.steps,
            **self._training(logs, self._seen(epoch)),
            "seconds": took,
        }
        for name in ("loss", "accuracy"):
            if f"val_{name}" in logs:
                record[f"validation_{name}"] = logs[f"val_{name}"]
        self._run.record(record)

    def checkpoint_state(self) -> tuple[Numbers, Arrays]:
        """What was counted so far."""
        # An epoch that is over left nothing to add to.
        taken = self._last_step_ended - self._epoch_began if self._running else 0.0
        return {"steps": self.steps, "seconds": self.seconds, "epoch_seconds": taken}, []

    def restore_state(self, numbers: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
        """Go on counting from what `checkpoint_state` gave."""
        self.steps = int(numbers["steps"])
        self.seconds = float(numbers["seconds"])
        self._epoch_seconds = float(numbers["epoch_seconds"])

    def _seen(self, epoch: int) -> int:
        """Pictures of an epoch's steps so far; the last epoch may be short."""
        steps = self.steps - epoch * -(-self._pictures // self._batch_size)
        return min(steps * self._batch_size, self._pictures)

    def _last_good(self) -> str:
        kept = self._run.checkpoints_path
        return f"; {kept} has the last state before that" if kept.is_dir() else ""

    def _training(self, logs: Mapping[str, float], seen: int) -> dict[str, float]:
        return {
            "loss": logs["loss"],
            "accuracy": logs["accuracy"],
            "learning_rate": float(self.model.optimizer.learning_rate),
            "images_per_second": seen / (self._last_step_ended - self._epoch_began),
        }
