"""The loop of epochs and steps: Keras's, but for where it may begin and how it may end.

Keras's own ``fit`` begins at the first step of an epoch. This one begins at any step, in the middle
of an epoch or between its steps and its validation, and goes on as if it had never stopped. The
compiled step and the callbacks' protocol are Keras's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tenfold import machine
from tenfold.training import growing
from tenfold.training.averaging import EvaluateAverages
from tenfold.training.checkpoint import Checkpoint, Progress
from tenfold.training.keeper import Keeper
from tenfold.training.snapshot import capture, restore, unfit
from tenfold.training.step import Step, accumulating_step
from tenfold.training.stop import Stop, TrainingStopped
from tenfold.training.trainee import Trainee

# An evaluation counts in the same variables as the epoch, whose sums must outlive it.
_EPOCH_SUMS = "epoch"


@dataclass(frozen=True)
class Feed:
    """Where the loop's batches come from.

    Attributes:
        training: given a step, the stream of batches that begins there.
        steps_per_epoch: training steps in an epoch.
        epochs: of the whole training.
        validation: given a number of batches, the batches of an evaluation that follow them.
        validation_steps: how many there are in all; 0: there is no validation.
        in_parts: whether the training batches come in parts, whose gradients are added up.
        steps: given an epoch, the compiled step to train it with; None: Keras's, or one that takes
            parts.
        epoch_by_epoch: whether an epoch's batches are not known before it begins.
    """

    training: Callable[[int], Any]
    steps_per_epoch: int
    epochs: int
    validation: Callable[[int], Any] | None = None
    validation_steps: int = 0
    in_parts: bool = False
    steps: Callable[[int], Step] | None = None
    epoch_by_epoch: bool = False


@dataclass
class Loop:
    """One training, from where it is to its end.

    Attributes:
        trainee: what is trained.
        feed: what it is trained on.
        callbacks: Keras callbacks, called in their order.
        keeper: saves checkpoints, and holds the one to go on from; None: there are none.
        stop: asked between steps.
    """

    trainee: Trainee
    feed: Feed
    callbacks: Sequence[keras.callbacks.Callback]
    keeper: Keeper | None = None
    stop: Stop = field(default_factory=Stop)

    def __post_init__(self) -> None:
        self._epoch_sums: NDArray[np.float32] | None = None

    def run(self) -> Progress:
        """Train to the end.

        Returns:
            How far it came, in all.

        Raises:
            TrainingStopped: `stop` asked for it; all that was done is in a checkpoint.
        """
        trainee, feed = self.trainee, self.feed
        self._called = keras.callbacks.CallbackList(
            list(self.callbacks),
            add_history=True,
            model=trainee,
            epochs=feed.epochs,
            steps=feed.steps_per_epoch,
            verbose=0,
        )
        trainee.make_train_function()
        trainee.make_test_function()
        self._train = accumulating_step(trainee) if feed.in_parts else trainee.train_function
        batches: Iterator[Any] | None = None
        self._began = time.perf_counter()
        self._start = self._restored()
        self._step, self._epoch = self._start.step, self._start.epoch
        validated = self._start.validated
        trainee.stop_training = self._start.stopped
        self._called.on_train_begin()
        logs: dict[str, Any] = {}
        with self.stop.deferred():
            while self._epoch < feed.epochs and (
                validated is not None or not trainee.stop_training
            ):
                self._called.on_epoch_begin(self._epoch)
                if validated is None:
                    if batches is None or feed.epoch_by_epoch:
                        batches = iter(feed.training(self._step))
                    if feed.steps is not None:
                        self._train = feed.steps(self._epoch)
                    self._train_epoch(batches)
                logs = self._end_epoch(validated or 0)
                validated = None
                self._save()
                self._heed_stop()
        self._heed_stop()  # which may have been asked for while the last line was reached
        trainee.optimizer.finalize_variable_values(trainee.trainable_weights)
        self._called.on_train_end(logs)
        return self._progress()

    def _restored(self) -> Progress:
        """Put everything to where the last checkpoint was, or to the start."""
        checkpoint = self.keeper.load() if self.keeper else None
        progress = checkpoint.progress if checkpoint else Progress()
        if self.keeper:
            growing.cut_back(self.keeper.run, progress.files)
        if checkpoint:
            self._check(checkpoint)
            restore(self.trainee, self.callbacks, checkpoint)
            self._epoch_sums = checkpoint.arrays.get(_EPOCH_SUMS)
        return progress

    def _check(self, checkpoint: Checkpoint) -> None:
        """Refuse a checkpoint whose numbers cannot be those of this training."""
        progress, steps = checkpoint.progress, self.feed.steps_per_epoch
        within = progress.step - progress.epoch * steps
        validated = progress.validated or 0
        sums = checkpoint.arrays.get(_EPOCH_SUMS, np.empty(0)).shape
        if (
            progress.epoch > self.feed.epochs
            or not (0 <= within <= steps or progress.stopped)
            or validated > self.feed.validation_steps
            or (validated > 0 and sums != self.trainee.running_sums().shape)
        ):
            raise unfit("its numbers of steps are another training's")

    def _train_epoch(self, batches: Iterator[Any]) -> None:
        first = self._step - self._epoch * self.feed.steps_per_epoch
        if first == 0:
            self.trainee.reset_running()
        for batch in range(first, self.feed.steps_per_epoch):
            self._called.on_train_batch_begin(batch)
            logs = self._train(batches)
            self._step += 1
            self._called.on_train_batch_end(batch, logs)
            if self.trainee.stop_training:
                break
            done = batch + 1 == self.feed.steps_per_epoch
            if self.stop.reason or (self.keeper and not done and self.keeper.due(self._step)):
                self._save(validated=0 if done else None)
                self._heed_stop()

    def _end_epoch(self, validated: int) -> dict[str, Any]:
        """Validate, but for what was validated before, and tell what the epoch came to."""
        trainee = self.trainee
        if validated and self._epoch_sums is not None:
            so_far = trainee.running_sums()
            trainee.set_running_sums(self._epoch_sums)
            logs: dict[str, Any] = trainee.results()
            trainee.set_running_sums(so_far)
        else:
            logs = trainee.results()
            self._epoch_sums = trainee.running_sums()
            trainee.reset_running()
        if self.feed.validation is not None:
            logs |= {f"val_{name}": value for name, value in self._validate(validated).items()}
        self._called.on_epoch_end(self._epoch, logs)
        self._epoch += 1
        return logs

    def _validate(self, first: int) -> dict[str, float]:
        assert self.feed.validation is not None  # noqa: S101  # its caller has looked
        batches = iter(self.feed.validation(first))
        self._called.on_test_begin()
        for batch in range(first, self.feed.validation_steps):
            self._called.on_test_batch_begin(batch)
            logs = self.trainee.test_function(batches)
            self._called.on_test_batch_end(batch, logs)
            if self.stop.reason or (self.keeper and self.keeper.due(self._step)):
                with self._latest_weights():
                    self._save(validated=batch + 1)
                    self._heed_stop()
        found = self.trainee.results()
        self._called.on_test_end(found)
        return found

    @contextmanager
    def _latest_weights(self) -> Iterator[None]:
        """Within a validation: the weights that training goes on with, and not their averages."""
        averaging = [one for one in self.callbacks if isinstance(one, EvaluateAverages)]
        for one in averaging:
            one.on_test_end()
        yield
        for one in averaging:
            one.on_test_begin()

    def _save(self, *, validated: int | None = None) -> None:
        if self.keeper is None:
            return
        kept, arrays = capture(self.trainee, self.callbacks)
        if validated and self._epoch_sums is not None:
            arrays[_EPOCH_SUMS] = self._epoch_sums
        progress = self._progress().model_copy(
            update={
                "validated": validated,
                "files": growing.sizes(self.keeper.run),
                "callbacks": kept,
            }
        )
        self.keeper.save(Checkpoint(progress, arrays))

    def _heed_stop(self) -> None:
        if self.stop.reason:
            raise TrainingStopped(self.stop.reason)

    def _progress(self) -> Progress:
        return Progress(
            step=self._step,
            epoch=self._epoch,
            stopped=bool(self.trainee.stop_training),
            seconds=self._start.seconds + time.perf_counter() - self._began,
            peak_memory=max(self._start.peak_memory, machine.peak_memory()),
        )
