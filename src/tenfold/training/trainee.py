"""A network as `fit` sees it: up to the logits, by the fastest way to compute them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from tenfold.models.forward import forward_function
from tenfold.recipe import Recipe
from tenfold.training.optimizers import build_optimizer
from tenfold.training.picture_losses import PictureLosses


class Trainee(keras.Model):  # type: ignore[misc]  # Keras ships no types
    """Wraps a network for training; its weights are the network's own.

    The loss takes logits, which keeps it finite where a softmax rounds to 0 or 1. With
    ``doubled-softmax`` it is given probabilities in their place: the report's mistake, on purpose.

    Args:
        network: ends in layers called ``logits`` and ``probabilities``.
        recipe: loss, label smoothing, optimizer and schedule are read from it.
        steps: length of the training, which the schedule is stretched over.
    """

    def __init__(self, network: keras.Model, recipe: Recipe, steps: int) -> None:
        super().__init__(name="trainee")
        self.network = network
        self.planned_steps: int | None = steps
        """Length of the training as planned now; None: a time budget has yet to decide it."""
        self._forward = forward_function(network, "logits")
        self._doubled = recipe.training.loss == "doubled-softmax"
        accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
        self.compile(
            optimizer=build_optimizer(recipe, steps),
            loss=keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=recipe.training.label_smoothing
            ),
            metrics=[accuracy],
            jit_compile=False,  # XLA's CPU convolutions took twice the time of oneDNN's
        )

        self.picture_losses: PictureLosses | None = None
        """Where steps are to note them; None: nowhere."""

        # In a function, because Keras would count an attribute as one more metric.
        def running() -> tuple[keras.metrics.Metric, ...]:
            return self._loss_tracker, accuracy

        self._running = running
        self.build(network.input_shape)
        self.optimizer.build(self.trainable_variables)  # so that a checkpoint can be put into it

    @property
    def running_metrics(self) -> tuple[keras.metrics.Metric, ...]:
        """Loss and accuracy over what was trained, or evaluated, since they were last reset."""
        return self._running()

    def reset_running(self) -> None:
        """Set `running_metrics` to nothing; Keras's own way forgets them before the first step."""
        for metric in self.running_metrics:
            metric.reset_state()

    def running_sums(self) -> NDArray[np.float32]:
        """What `running_metrics` have counted, float32 (n,), to be put back."""
        variables = [v for metric in self.running_metrics for v in metric.variables]
        return np.array([keras.ops.convert_to_numpy(v) for v in variables], np.float32)

    def set_running_sums(self, sums: NDArray[np.float32]) -> None:
        """Put back what `running_sums` gave."""
        variables = [v for metric in self.running_metrics for v in metric.variables]
        for variable, value in zip(variables, sums, strict=True):
            variable.assign(value)

    def results(self) -> dict[str, float]:
        """What `running_metrics` are at, by name."""
        return {metric.name: float(metric.result()) for metric in self.running_metrics}

    def build(self, input_shape: Any) -> None:
        """Nothing to make: the network has its weights already."""
        self.built = True

    def call(self, pictures: Any, training: bool = False) -> Any:
        """What the loss takes for logits, float32 (N, classes).

        Args:
            pictures: normalized, float32 (N, size, size, 3).
            training: whether dropout acts and batch normalization uses the batch's statistics.
        """
        logits = self._forward(pictures, training)
        if self._doubled:
            # Not ops.softmax: Keras's loss looks for one, and takes the logits from behind it.
            return ops.exp(ops.log_softmax(logits))
        return logits
