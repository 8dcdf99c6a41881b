"""What a picture looks like in 45 numbers: copies have nearly the same ones.

They are the lowest frequencies of the picture's brightness and colours, by the discrete cosine
transform, weighted so that each tells about as much as the others. A picture in the mirror has the
same numbers, with the sign of every odd horizontal frequency turned.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tenfold.data.duplicates.align import SIDE

_BRIGHTNESS, _COLOUR = 7, 4
"""Frequencies whose sum in x and y is below this are kept; the mean, 0 + 0, is not."""

_WEIGHTING = 0.7
"""Power of its spread that each frequency is divided by: 1 would make all of them equal, but the
highest suffer most from a shift or a crop. Of those tried, this one with 45 numbers found most."""

_LEAST_SPREAD = 1e-3
_LEAST_DETAIL = 1.5
"""Grey levels, root of the mean square: what has less is flat, and resembles nothing."""

_YCC = np.array([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], np.float32)


def _kept(limit: int) -> NDArray[np.bool_]:
    across = np.add.outer(np.arange(_BRIGHTNESS), np.arange(_BRIGHTNESS))
    return (across > 0) & (across < limit)


_KEPT = np.stack([_kept(_BRIGHTNESS), _kept(_COLOUR), _kept(_COLOUR)])
_ODD = (np.indices(_KEPT.shape)[2] % 2 == 1)[_KEPT]
_ORDER = np.argsort(_ODD, kind="stable")

LENGTH = len(_ODD)
"""Numbers in a descriptor."""
EVEN = int((~_ODD).sum())
"""How many come first that a mirror does not change; it turns the sign of the others."""


def shrink(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bring square pictures (n, size, size, 3) to SIDE by the mean of the pixels that meet.

    Returns:
        float32 (n, SIDE, SIDE, 3), from 0 to 255; smaller pictures are enlarged.
    """
    picture = pixels.astype(np.float32)
    size = pixels.shape[1]
    if size == SIDE:
        return picture
    means = _means(size)
    rows = np.matmul(means, picture.reshape(len(picture), size, -1))
    return np.asarray(np.matmul(means, rows.reshape(len(picture), SIDE, size, 3)))


def describe(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Descriptors of pictures, not yet weighted, and the pictures in small and grey.

    Args:
        pixels: uint8 (n, size, size, 3).

    Returns:
        float32 (n, LENGTH), of length 1, or all zeros for a flat picture; uint8 (n, SIDE, SIDE).
    """
    small = shrink(pixels) @ _YCC.T
    waves = _waves()
    columns = np.matmul(waves, small.reshape(len(small), SIDE, -1))
    both = np.matmul(waves, columns.reshape(len(small), len(waves), SIDE, 3))
    numbers = both.transpose(0, 3, 1, 2)[:, _KEPT][:, _ORDER]
    lengths = np.linalg.norm(numbers, axis=1, keepdims=True)
    flat = lengths < _LEAST_DETAIL * SIDE
    grey = np.rint(np.clip(small[..., 0], 0, 255)).astype(np.uint8)
    return np.where(flat, 0, numbers / np.maximum(lengths, 1)).astype(np.float32), grey


class Weighting:
    """Centres and weights descriptors by how they spread over a whole source.

    What all pictures of a source have in common, the same backdrop for instance, tells none of
    them apart. The odd frequencies are not centred, so that a mirror stays a change of signs.
    """

    def __init__(self) -> None:
        self._count = 0
        self._sums = np.zeros(LENGTH)
        self._squares = np.zeros(LENGTH)

    def add(self, descriptors: NDArray[np.float32]) -> None:
        """Take descriptors into account."""
        self._count += len(descriptors)
        self._sums += descriptors.sum(axis=0, dtype=np.float64)
        self._squares += np.square(descriptors, dtype=np.float64).sum(axis=0)

    def apply(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Weighted descriptors of length 1; zeros stay zeros."""
        mean = self._sums / max(self._count, 1)
        mean[EVEN:] = 0
        spread = np.sqrt(np.maximum(self._squares / max(self._count, 1) - mean**2, 0))
        weighted = (descriptors - mean) / np.maximum(spread, _LEAST_SPREAD) ** _WEIGHTING
        weighted /= np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-6)
        weighted[~descriptors.any(axis=1)] = 0
        return np.asarray(weighted, np.float32)


@cache
def _waves() -> NDArray[np.float32]:
    """The lowest rows of the orthonormal cosine transform of a line of SIDE pixels."""
    numbers = np.arange(_BRIGHTNESS)[:, np.newaxis]
    waves = np.cos(np.pi * numbers * (np.arange(SIDE) + 0.5) / SIDE) * np.sqrt(2 / SIDE)
    waves[0] /= np.sqrt(2)
    return np.asarray(waves, np.float32)


@cache
def _means(size: int) -> NDArray[np.float32]:
    """A matrix (SIDE, size) that brings a line of pixels to another length.

    Each new pixel is the mean of what it covers; where the line grows, neighbours are mixed
    linearly.
    """
    scale = size / SIDE
    centres = (np.arange(SIDE) + 0.5) * scale - 0.5
    if scale < 1:
        distances = np.abs(np.clip(centres, 0, size - 1)[:, np.newaxis] - np.arange(size))
        weights = np.maximum(0, 1 - distances)
    else:
        begin, end = centres + 0.5 - scale / 2, centres + 0.5 + scale / 2
        pixels = np.arange(size)
        weights = np.clip(
            np.minimum(end[:, np.newaxis], pixels + 1) - np.maximum(begin[:, np.newaxis], pixels),
            0,
            None,
        )
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
