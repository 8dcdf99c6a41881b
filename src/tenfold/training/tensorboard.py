"""What TensorBoard shows of a training."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorboard.plugins.histogram import metadata as histogram_metadata

from tenfold.errors import OutputError
from tenfold.files import translate_output_errors
from tenfold.training.snapshot import Arrays, Numbers

LARGEST_SAMPLE = 64
"""Pictures that the activation histograms are drawn from, at most: it bounds their cost."""

LARGEST_GRID = 36
"""Pictures in the sample grid, at most: six rows of six."""

_BUCKETS = 30


class TensorBoard(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Writes the lab's panels and a few more, from within ``fit``.

    While training, every ``every`` steps and at the end of each epoch: ``accuracy/train`` and
    ``loss/train`` (as Keras reports them: the mean over the epoch so far), ``learning_rate``,
    ``images_per_second``. At the end of each epoch: ``accuracy/validation`` and
    ``loss/validation`` where there is a validation split, and a histogram
    ``activations/<layer>`` of each layer of interest, as the model computes them when it predicts.
    Once, at the start: the graph, and ``samples``. Once, after the training: ``accuracy/test``,
    by `write_test`. The horizontal axis is the number of steps.

    Args:
        folder: where the event files go.
        sample_inputs: up to 64 training pictures as the model takes them, float32 of shape
            (N, height, width, channels).
        sample_pictures: up to 36 pictures to show, uint8 of shape (N, height, width, channels).
        layers: names of the model's layers whose activations are of interest.
        batch_size: pictures in a training step.
        every: steps between two points of the training curves.

    Raises:
        OutputError: ``folder`` cannot be written to; later, too, where the disk fills up.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sample_inputs: NDArray[np.float32],
        sample_pictures: NDArray[np.uint8],
        layers: Sequence[str],
        batch_size: int,
        every: int = 50,
    ) -> None:
        super().__init__()
        if len(sample_inputs) > LARGEST_SAMPLE:
            raise ValueError(
                f"sample_inputs are at most {LARGEST_SAMPLE}. Received: {len(sample_inputs)}"
            )
        if len(sample_pictures) > LARGEST_GRID:
            raise ValueError(
                f"sample_pictures are at most {LARGEST_GRID}. Received: {len(sample_pictures)}"
            )
        self._sample_inputs = sample_inputs
        self._sample_pictures = sample_pictures
        self._layers = tuple(layers)
        self._batch_size = batch_size
        self._every = every
        self._network: Any = None
        self._activations: keras.Model | None = None
        self._step = 0  # steps trained so far
        self._point_step = 0  # of the last point of the training curves, or the epoch's begin
        self._point_time = 0.0
        self._resumed: tuple[int, float] | None = None  # the same, in the process before this one
        self._batch_time = 0.0
        self._folder = folder
        with translate_output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def set_model(self, model: keras.Model) -> None:
        """Take the model under training; Keras calls this first.

        Activations and graph are those of its ``network`` where it wraps one, as `Trainee` does,
        else its own; either way of a functional model.
        """
        super().set_model(model)
        self._network = getattr(model, "network", model)
        outputs = [self._network.get_layer(name).output for name in self._layers]
        self._activations = keras.Model(self._network.inputs[0], outputs) if outputs else None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Write what does not change, unless it is there: the graph and the sample grid."""
        if self._resumed:
            return
        network = tf.function(lambda pictures: self._network(pictures, training=False))
        shape = (None, *self._sample_inputs.shape[1:])
        graph = network.get_concrete_function(tf.TensorSpec(shape, tf.float32)).graph
        with self._writing():
            tf.summary.graph(graph)
            if len(self._sample_pictures):
                tf.summary.image("samples", _tile(self._sample_pictures)[np.newaxis], step=0)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock again, so that validation does not count as training time."""
        self._step = self._point_step = int(self.model.optimizer.iterations)
        self._point_time = self._batch_time = time.perf_counter()
        if self._resumed:
            self._point_step, seconds = self._resumed
            self._point_time -= seconds
            self._resumed = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Write a point of the training curves where one is due."""
        self._step += 1
        self._batch_time = time.perf_counter()
        if self._step - self._point_step >= self._every:
            self._write_training(logs or {})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Write the epoch's last point, the validation's, and the histograms."""
        logs = logs or {}
        if self._step > self._point_step:
            self._write_training(logs)
        with self._writing(self._step):
            for name in ("accuracy", "loss"):
                if f"val_{name}" in logs:
                    tf.summary.scalar(f"{name}/validation", logs[f"val_{name}"])
            self._write_activations()

    def write_test(self, accuracy: float, step: int) -> None:
        """Write ``accuracy/test`` and close the files: once, when all training is done.

        Args:
            accuracy: share of correct pictures of the test split.
            step: steps that were trained.
        """
        with self._writing(step):
            tf.summary.scalar("accuracy/test", accuracy)
            self._writer.close()

    def checkpoint_state(self) -> tuple[Numbers, Arrays]:
        """Where the last point of the training curves is; what is written is in the files."""
        with self._writing():
            pass  # so that the files hold all that was written
        taken = max(0.0, self._batch_time - self._point_time)
        return {"point_step": self._point_step, "point_seconds": taken}, []

    def restore_state(self, numbers: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
        """Go on from what `checkpoint_state` gave, in a file beside those that are there."""
        self._resumed = int(numbers["point_step"]), float(numbers["point_seconds"])

    @cached_property
    def _writer(self) -> Any:
        # Made when first written to: a training that goes on cuts the files back before that.
        return tf.summary.create_file_writer(str(self._folder), flush_millis=10_000)

    def _write_training(self, logs: Mapping[str, float]) -> None:
        images = (self._step - self._point_step) * self._batch_size
        seconds = self._batch_time - self._point_time
        with self._writing(self._step):
            tf.summary.scalar("accuracy/train", logs["accuracy"])
            tf.summary.scalar("loss/train", logs["loss"])
            tf.summary.scalar("learning_rate", self.model.optimizer.learning_rate)
            tf.summary.scalar("images_per_second", images / seconds)
        self._point_step, self._point_time = self._step, time.perf_counter()

    @contextmanager
    def _writing(self, step: int | None = None) -> Iterator[None]:
        """Write to the event files at a step, and see to it that it arrives there."""
        try:
            with self._writer.as_default(step=step):  # which flushes at its end
                yield
        except tf.errors.OpError as error:
            if str(self._folder) not in error.message:
                raise
            raise OutputError(
                f"cannot write {self._folder}: the disk is full or takes no more; free some "
                "space, or choose another place"
            ) from error

    def _write_activations(self) -> None:
        if self._activations is None:
            return
        outputs = self._activations(self._sample_inputs, training=False)
        for name, output in zip(self._layers, keras.tree.flatten(outputs), strict=True):
            values = keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))
            _write_histogram(f"activations/{name}", values)


def _write_histogram(tag: str, values: NDArray[np.float32]) -> None:
    """Write a histogram of the finite values at the writer's step.

    ``tf.summary.histogram`` spreads every value over all buckets and takes seconds, and hundreds
    of megabytes, for one convolution's output; NumPy takes milliseconds.
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    try:
        counts, edges = np.histogram(finite, bins=_BUCKETS)
    except ValueError:  # so large, and so alike, that no number lies between two of them
        counts, edges = np.array([finite.size]), np.array([finite.min(), finite.max()])
    buckets = np.stack([edges[:-1], edges[1:], counts], axis=1)
    about = histogram_metadata.create_summary_metadata(display_name=None, description=None)
    tf.summary.write(tag, tf.constant(buckets, tf.float64), metadata=about)


def _tile(pictures: NDArray[np.uint8], gap: int = 2) -> NDArray[np.uint8]:
    """Put (N, height, width, channels) pictures on one white sheet, as near a square as can be."""
    count, height, width, channels = pictures.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.full((rows * columns, height + gap, width + gap, channels), 255, np.uint8)
    sheet[:count, :height, :width] = pictures
    sheet = sheet.reshape(rows, columns, height + gap, width + gap, channels)
    return sheet.swapaxes(1, 2).reshape(rows * (height + gap), columns * (width + gap), channels)
