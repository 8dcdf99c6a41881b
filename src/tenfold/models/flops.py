"""How many floating-point operations a network's training step needs, counted by its layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import keras


def multiplications(layer: keras.Layer) -> int:
    """Multiplications of one picture's way through a convolution or dense layer; 0 for any other.

    Those with the zeros of a padded edge count as well.
    """
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    places = layer.output.shape[1:-1]  # none for a dense layer
    return int(math.prod(kernel.shape) * math.prod(places))


def step_flops(network: keras.Model, trains: Callable[[str], bool] = lambda path: True) -> int:
    """Floating-point operations that a training step needs for each of its pictures.

    Counted are convolutions and dense layers, a multiplication and its addition as two, as for the
    model FLOP utilization of PaLM (Chowdhery et al., 2022). A layer does them forwards; once more
    for the gradient by its weights, unless these are frozen; and once more for the gradient by its
    input, unless nothing before it is trained. So the first layer does them twice, or once where it
    is frozen, and all others three times. The count is the same however a layer is computed; what
    else a step does, from activations to the optimizer, takes time and counts for nothing.

    Args:
        network: a functional model whose layers each occur once in it.
        trains: whether the variable of a Keras path is trained, if it is trainable at all.
    """
    total = 0
    reached: dict[str, bool] = {}  # whether a gradient has to come to a layer's output
    for layer in network.layers:  # each one after those before it
        trained = [id(v) for v in layer.trainable_variables if trains(v.path)]
        before = any(reached[name] for name in _inputs(layer))
        passes = 1 + (id(getattr(layer, "kernel", None)) in trained) + before
        total += 2 * passes * multiplications(layer)
        reached[layer.name] = before or bool(trained)
    return total


def _inputs(layer: keras.Layer) -> Iterator[str]:
    """Names of the layers whose outputs a layer takes."""
    for node in layer._inbound_nodes:
        for tensor in node.input_tensors:
            yield tensor._keras_history.operation.name
