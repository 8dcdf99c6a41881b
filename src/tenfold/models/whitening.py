"""Filters that whiten patches of pictures, from the pictures themselves."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from tenfold.models.airbench import SHARPNESS, STEM

PICTURES = 5000
"""So many say enough of all: their patches are a thousand times as many."""

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
    patches = np.lib.stride_tricks.sliding_window_view(pictures, (size, size), axis=(1, 2))
    shape = patches.shape[-2:] + patches.shape[3:4]  # rows, columns, channels
    rows = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, int(np.prod(shape)))
    rows = rows.astype(np.float64)
    variances, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    scaled = (vectors / np.sqrt(variances + _FLOOR))[:, ::-1]
    # The sign of an eigenvector is arbitrary, and differs between libraries.
    scaled *= np.where(scaled.sum(0) < 0, -1.0, 1.0)
    filters = np.concatenate([scaled, -scaled], axis=1).reshape(*shape, -1)
    return filters.astype(np.float32)


def whiten(network: keras.Model, pictures: NDArray[np.float32]) -> None:
    """Set the filters of a network's whitening layer by training pictures, where it has one.

    Args:
        network: before its training.
        pictures: normalized, float32 (N, size, size, 3).
    """
    if STEM in [layer.name for layer in network.layers]:
        layer = network.get_layer(STEM)
        layer.kernel.assign(SHARPNESS * whitening_filters(pictures, layer.kernel_size[0]))
