"""A network as `fit` sees it: up to the logits, by the fastest way to compute them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tenfold.models.forward import forward_function
from tenfold.recipe import Recipe
from tenfold.training.optimizers import build_optimizer


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
        self._forward = forward_function(network, "logits")
        self._doubled = recipe.training.loss == "doubled-softmax"
        self.compile(
            optimizer=build_optimizer(recipe, steps),
            loss=keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=recipe.training.label_smoothing
            ),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            jit_compile=False,  # XLA's CPU convolutions took twice the time of oneDNN's
        )
        self.build(network.input_shape)

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
