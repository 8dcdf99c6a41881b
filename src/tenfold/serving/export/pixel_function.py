"""A trained network as a TensorFlow function over pixels, for the formats that start from one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tenfold.data.normalization import Normalization
from tenfold.models.predict import LOGITS
from tenfold.serving.export.facts import INPUT, Facts
from tenfold.serving.export.twin import in_float32


class PixelsToLogits(tf.Module):  # type: ignore[misc]  # TensorFlow ships no types
    """The stock layers' own graph, in float32 whatever the network trained in.

    Args:
        network: from `tenfold.models.build_network`, trained.
        facts: its normalization becomes part of the graph.
        activations: what to compute for an activation of that name, where the layer's own way does
            not suit the format.
    """

    def __init__(
        self,
        network: keras.Model,
        facts: Facts,
        activations: dict[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        super().__init__(name="tenfold")
        twin = in_float32(network, copy=bool(activations))
        for layer in twin.layers:
            name = getattr(getattr(layer, "activation", None), "__name__", "")
            if activations and name in activations:
                layer.activation = activations[name]
        self.weights = [variable.value for variable in twin.weights]
        part: Callable[..., Any] = keras.Model(twin.inputs[0], twin.get_layer(LOGITS).output)
        # Behind a function, so that the weights are found in one place only, and saved once.
        self._compute: Callable[[Any], Any] = lambda pictures: part(pictures, training=False)
        self._normalization = Normalization(facts.offset, facts.scale)
        self.signature = [tf.TensorSpec((None, facts.size, facts.size, 3), tf.uint8, name=INPUT)]

    def logits(self, pixels: Any) -> Any:
        """Logits, float32 (N, classes), of pixels, uint8 (N, size, size, 3)."""
        pictures = self._normalization.apply(tf.cast(pixels, tf.float32))
        return self._compute(pictures)
