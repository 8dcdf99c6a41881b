"""Filters that whiten patches of pictures, from the pictures themselves."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from tenfold.models.airbench import SHARPNESS, STEM

_PICTURES = 5000
"""So many say enough of all: their patches are a thousand times as many."""
_BLOCK = 100
"""Pictures whose patches are in memory at a time."""
_FLOOR = 5e-4
"""Added to the variances, so that what hardly varies, which is noise, is not blown up."""


def whitening_filters(pictures: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The eigenvectors of patches, each divided by its standard deviation, and their negatives.

    Convolved with them, a picture's channels are uncorrelated and of variance 1: what a first layer
    would otherwise have to learn (Page, 2018; Jordan, 2024). Patches are not centred first.

    Args:
        pictures: normalized, float32 (N, height, width, channels).
        size: side of a patch, pixels.

    Returns:
        float32 (size, size, channels, 2 * size * size * channels), by falling variance; the
        second half is the first with its sign changed.
    """
    channels = pictures.shape[-1]
    length = size * size * channels
    products, count = np.zeros((length, length)), 0
    for start in range(0, len(pictures), _BLOCK):  # patches take a hundred times as much memory
        patches = np.lib.stride_tricks.sliding_window_view(
            pictures[start : start + _BLOCK], (size, size), axis=(1, 2)
        )
        rows = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, length).astype(np.float64)
        products += rows.T @ rows
        count += len(rows)
    variances, vectors = np.linalg.eigh(products / count)
    scaled = (vectors / np.sqrt(variances + _FLOOR))[:, ::-1]
    # The sign of an eigenvector is arbitrary, and differs between libraries.
    largest = np.take_along_axis(scaled, np.abs(scaled).argmax(0)[None], 0)
    scaled *= np.sign(largest)
    filters = np.concatenate([scaled, -scaled], axis=1).reshape(size, size, channels, -1)
    return filters.astype(np.float32)


def sample(count: int) -> NDArray[np.int64]:
    """Positions of the pictures to whiten by, int64, spread evenly over a split of so many.

    Splits often lie in the order of their classes, whose first thousands say little of the rest.
    """
    return np.unique(np.linspace(0, count - 1, min(count, _PICTURES)).astype(np.int64))


def whiten(network: keras.Model, pictures: NDArray[np.float32]) -> None:
    """Set the filters of a network's whitening layer by training pictures, where it has one.

    Args:
        network: before its training.
        pictures: normalized, float32 (N, size, size, 3).
    """
    if STEM in [layer.name for layer in network.layers]:
        layer = network.get_layer(STEM)
        layer.kernel.assign(SHARPNESS * whitening_filters(pictures, layer.kernel_size[0]))
