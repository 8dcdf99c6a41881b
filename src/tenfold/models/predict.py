"""Probabilities from a trained network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tenfold.errors import RunError
from tenfold.models.forward import forward_function
from tenfold.models.model_file import check_model_file

LOGITS, LAST_LAYER = "logits", "probabilities"

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From pixels, uint8 (N, size, size, 3), to probabilities, float32 (N, classes)."""


def load_network(path: Path, *, size: int, classes: int) -> keras.Model:
    """Load a saved network; no code in the file is run.

    Args:
        path: of the file.
        size: side of the pictures that it must take, pixels.
        classes: how many probabilities it must give.

    Raises:
        RunError: the file is damaged, holds something that only running code could load, or is not
            a network for such pictures and classes.
    """
    try:
        check_model_file(path)
        network = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its readers do
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise RunError(f"model {path} cannot be loaded ({reason}); train it again") from None
    shapes = getattr(network, "input_shape", None), getattr(network, "output_shape", None)
    if shapes != ((None, size, size, 3), (None, classes)) or not _ends_in_softmax(network):
        raise RunError(
            f"model {path} is not a network from pictures of {size}x{size} to the probabilities of "
            f"{classes} classes; train it again"
        )
    return network


def predictor(
    network: keras.Model,
    normalize: Callable[[Any], Any],
    *,
    temperature: float = 1.0,
    averaged: bool = False,
) -> Predict:
    """Make a function that predicts a batch at a time.

    Args:
        network: a trained network that ends in `LOGITS` and `LAST_LAYER`.
        normalize: from pixel values, float32, to what the network takes.
        temperature: what logits are divided by before the softmax; see
            `tenfold.evaluation.calibration`.
        averaged: average over six views of each picture, see `views`.
    """
    forward = forward_function(network, LOGITS)
    compiled = _compiled(
        lambda pictures: keras.ops.softmax(forward(normalize(pictures), False) / temperature)
    )

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        pictures = pixels.astype(np.float32)
        weighted = views(pictures) if averaged else [(1.0, pictures)]
        probabilities = sum(weight * compiled(view) for weight, view in weighted)
        result: NDArray[np.float32] = keras.ops.convert_to_numpy(probabilities)
        return result

    return predict


def views(pictures: NDArray[np.float32]) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """A picture as it is, a pixel up and to the left, and a pixel down and to the right; mirrored.

    What shows up at an edge is the picture reflected there. The views of airbench94 (Jordan, 2024),
    with its weights.

    Args:
        pictures: float32 (N, size, size, 3).

    Yields:
        Six times a weight, all of which add up to 1, and pictures of the same shape.
    """
    size = pictures.shape[1]
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    for weight, shift in ((0.5, 0), (0.25, 1), (0.25, -1)):
        start = 1 + shift
        view = padded[:, start : start + size, start : start + size]
        yield weight / 2, view
        yield weight / 2, view[:, :, ::-1]


def logits_function(network: keras.Model, normalize: Callable[[Any], Any]) -> Predict:
    """Make a function that gives the logits of a batch, which `predictor` takes the softmax of."""
    forward = forward_function(network, LOGITS)
    compiled = _compiled(lambda pictures: forward(normalize(pictures), False))

    def logits(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = keras.ops.convert_to_numpy(
            compiled(pixels.astype(np.float32))
        )
        return result

    return logits


def _ends_in_softmax(network: keras.Model) -> bool:
    """Whether the last layers are the logits and their softmax, which the temperature is put in."""
    names = [layer.name for layer in network.layers[-2:]]
    return names == [LOGITS, LAST_LAYER] and type(network.layers[-1]) is keras.layers.Softmax


def _compiled(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """One graph for every batch size, where the backend has graphs."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    graph = tf.function(function, reduce_retracing=True)
    return lambda pictures: graph(tf.constant(pictures))
