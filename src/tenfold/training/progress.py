"""A live display of a training: a bar where there is a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_UPDATE_SECONDS = 0.2
_NARROW = 72
"""Columns that a terminal must have for the whole bar; a narrower one gets the essentials."""


class ProgressDisplay(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Shows how far a training is, how well it goes, and when it will end.

    Each epoch leaves a line behind. On a terminal a bar below them moves with the steps. Where a
    time budget decides the length of the training, a line says so once it is decided, and the bar
    follows it.

    Args:
        console: where to show it.
        epochs: of the whole training.
        steps_per_epoch: likewise.
        pictures: pictures in the training split.
    """

    def __init__(
        self, console: Console, *, epochs: int, steps_per_epoch: int, pictures: int
    ) -> None:
        super().__init__()
        self._console = console
        self._epochs = epochs
        self._steps_per_epoch = steps_per_epoch
        self._pictures = pictures
        self._epoch_began = self._last_update = self._last_step_ended = 0.0
        self._epoch = 0
        self._steps = 0  # of this epoch that were seen here: a resumed one had some before
        self._planned = epochs * steps_per_epoch
        self._decided = True
        self._wide = console.width >= _NARROW
        self._progress = Progress(
            *(_columns() if self._wide else _narrow_columns()),
            console=console,
            transient=True,
            disable=not console.is_interactive,
        )
        self._task = self._progress.add_task(
            "train", total=epochs * steps_per_epoch, epoch=1, epochs=epochs, metrics=""
        )

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Show the bar."""
        self._progress.start()
        self._decided = getattr(self._model, "planned_steps", 0) is not None
        self._heed_plan()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the epoch's clock."""
        self._steps = 0
        self._epoch_began = self._last_step_ended = time.perf_counter()
        self._epoch = epoch
        self._progress.update(self._task, epoch=epoch + 1)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Move the bar, a few times a second at most."""
        self._steps += 1
        self._heed_plan()
        done = self._epoch * self._steps_per_epoch + batch + 1
        self._progress.update(self._task, completed=done)
        self._last_step_ended = time.perf_counter()
        if logs and self._last_step_ended - self._last_update > _UPDATE_SECONDS:
            self._last_update = self._last_step_ended
            metrics = f"loss {logs['loss']:.3f}"
            if self._wide:
                metrics += f"  accuracy {logs['accuracy']:.1%}"
            self._progress.update(self._task, metrics=metrics)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Leave the epoch's line."""
        logs = logs or {}
        seconds = self._last_step_ended - self._epoch_began
        parts = [
            f"epoch {epoch + 1:>{len(str(self._epochs))}}/{self._epochs}",
            f"loss {logs['loss']:.3f}",
            f"accuracy {logs['accuracy']:6.1%}",
        ]
        if "val_accuracy" in logs:
            parts.append(f"validation loss {logs['val_loss']:.3f}")
            parts.append(f"validation accuracy {logs['val_accuracy']:6.1%}")
        if self._steps:
            pictures = self._pictures * self._steps / self._steps_per_epoch
            parts.append(f"{pictures / seconds:,.0f} images/s")
        parts.append(f"{seconds:.1f} s")
        self._console.print("  ".join(parts), highlight=False, soft_wrap=True)

    def _heed_plan(self) -> None:
        """Take over what the model's training is planned to be, where it is planned anew."""
        planned = getattr(self._model, "planned_steps", None)
        if planned is None or (self._decided and planned == self._planned):
            return
        self._planned, self._epochs = planned, -(-planned // self._steps_per_epoch)
        self._progress.update(self._task, total=planned, epochs=self._epochs)
        if not self._decided:
            self._decided = True
            epochs = planned / self._steps_per_epoch
            line = f"fitted to the time: {planned:,} steps, {epochs:.1f} epochs"
            self._console.print(line, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away; safe to call twice, and after a training that was cut off."""
        self._progress.stop()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Take the bar away."""
        self.close()


def _narrow_columns() -> list[ProgressColumn]:
    """Where the training is, how well it goes, and when it will end: 37 columns at most."""
    return [
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[metrics]}"),
        TimeRemainingColumn(compact=True),
    ]


def _columns() -> list[ProgressColumn]:
    epoch, percentage, metrics, _ = _narrow_columns()
    times = [TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
    return [epoch, BarColumn(), percentage, metrics, *times]
