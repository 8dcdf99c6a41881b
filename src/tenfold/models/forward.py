"""The way to compute a network: the fastest one that fits, else the network's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tenfold.models import fast, graph_forward


def forward_function(network: keras.Model, last: str) -> Callable[[Any, bool], Any]:
    """A function of (pictures, training) that gives the output of the layer called ``last``."""
    if keras.backend.backend() != "tensorflow":
        part = keras.Model(network.inputs[0], network.get_layer(last).output)
        return lambda pictures, training: part(pictures, training=training)
    if fast.is_chain(network):
        return lambda pictures, training: fast.forward(
            network, pictures, training=training, last=last
        )
    return graph_forward.graph_forward(network, last)
