"""A network that trained in bf16 as one that computes in float32, as its weights are stored."""

from __future__ import annotations

import keras


def in_float32(network: keras.Model, *, copy: bool = False) -> keras.Model:
    """A network that computes in float32 with the same weights.

    Args:
        network: whatever it computes in.
        copy: whether one that computes in float32 already is copied too.
    """
    if not copy and all(layer.compute_dtype == "float32" for layer in network.layers):
        return network
    twin = keras.models.clone_model(network, clone_function=_in_float32)
    for ours, theirs in zip(twin.weights, network.weights, strict=True):
        ours.assign(theirs)
    return twin


def _in_float32(layer: keras.Layer) -> keras.Layer:
    return type(layer).from_config({**layer.get_config(), "dtype": "float32"})
