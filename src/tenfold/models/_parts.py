"""What networks are made of, each part with a start that follows from the seed."""

from __future__ import annotations

import math
from typing import Any

import keras

from tenfold.recipe import ModelSection

_EPSILON = 1e-3
"""Added to a variance before its square root; TensorFlow's default, as in the report's code."""


class Parts:
    """Makes the layers of one network.

    Args:
        section: the model section of the recipe.
        seed: every initial weight and every dropout mask follows from it; each layer draws from a
            stream of its own, so that adding one does not change the others before it.
        policy: Keras dtype policy, ``float32`` or ``mixed_bfloat16``.

    Attributes:
        section: as given.
        policy: as given.
    """

    def __init__(self, section: ModelSection, seed: int, policy: str) -> None:
        self.section = section
        self.policy = policy
        self._seed = seed
        self._drawn = 0

    def conv(self, filters: int, name: str, activation: str = "relu") -> keras.Layer:
        """A 5x5 convolution, stride 1, same padding, with bias."""
        start = self._initial_weights(activation)
        return keras.layers.Conv2D(
            filters,
            5,
            padding="same",
            activation=activation,
            dtype=self.policy,
            name=name,
            **start,
        )

    def dense(self, units: int, name: str, activation: str) -> keras.Layer:
        """A dense layer with bias."""
        start = self._initial_weights(activation)
        return keras.layers.Dense(
            units, activation=activation, dtype=self.policy, name=name, **start
        )

    def pool(self, name: str) -> keras.Layer:
        """Max pooling, 2x2, stride 2."""
        return keras.layers.MaxPooling2D(2, dtype=self.policy, name=name)

    def flatten(self, name: str) -> keras.Layer:
        """Rows of all values of a picture."""
        return keras.layers.Flatten(dtype=self.policy, name=name)

    def dropout(self, name: str) -> keras.Layer:
        """Dropout at the recipe's rate, active in training only."""
        rate = self.section.dropout
        return keras.layers.Dropout(rate, seed=self.next_seed(), dtype=self.policy, name=name)

    def batch_norm(self, name: str) -> keras.Layer:
        """Batch normalization that centres and scales.

        With ``batch_norm = "frozen"`` the statistics stay at mean 0 and variance 1 for good, while
        scale and centre are trained: what the report's code did by leaving out the training flag.
        Nothing is left of the layer then but a scale and a centre for each channel, which is a
        depthwise convolution of one pixel.
        """
        if self.section.batch_norm == "frozen":
            scale = keras.initializers.Constant(1 / math.sqrt(1 + _EPSILON))
            return keras.layers.DepthwiseConv2D(
                1, depthwise_initializer=scale, dtype=self.policy, name=name
            )
        # 0.9, not Keras's 0.99: moving statistics must settle within an epoch or two.
        return keras.layers.BatchNormalization(
            momentum=0.9, epsilon=_EPSILON, dtype=self.policy, name=name
        )

    def head(self, x: Any, classes: int) -> Any:
        """Logits, one for each class, and the softmax over them, both in float32."""
        start = self._initial_weights(None)
        x = keras.layers.Dense(classes, dtype="float32", name="logits", **start)(x)
        return keras.layers.Softmax(dtype="float32", name="probabilities")(x)

    def _initial_weights(self, activation: str | None) -> dict[str, Any]:
        if self.section.initial_weights == "unit-normal":
            return {
                "kernel_initializer": keras.initializers.RandomNormal(0, 1, self.next_seed()),
                "bias_initializer": keras.initializers.RandomNormal(0, 1, self.next_seed()),
            }
        scaled = {
            "relu": keras.initializers.HeNormal,  # keeps the variance through a ReLU (He, 2015)
            "selu": keras.initializers.LecunNormal,  # for self-normalization (Klambauer, 2017)
            None: keras.initializers.GlorotUniform,
        }
        return {"kernel_initializer": scaled[activation](self.next_seed())}

    def next_seed(self) -> int:
        """The seed of the next layer that draws."""
        self._drawn += 1
        return (self._seed * 1_000_003 + self._drawn) % 2**31
