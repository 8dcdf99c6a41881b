"""Where a model looks: an occlusion map.

A grey patch slides over the picture, and the model predicts each covered copy. Where the patch
takes away what the prediction rests on, the probability of the predicted class drops (Zeiler and
Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GREY = 128
"""The value of every channel under the patch."""

_CELLS = 16
"""Cells along a side of the map, where the picture has pixels enough."""

_PATCH = 0.25
"""Side of the patch, as a share of the picture's."""


@dataclass(frozen=True, slots=True)
class Window:
    """One position of the patch: cells, the end not included."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Occlusion:
    """The positions of the patch on a picture.

    The map has a cell for each step of the patch, and a patch covers several cells; each cell gets
    the mean drop over the patches that cover it. This is finer than one value a position, and as
    even at the border as in the middle.

    Attributes:
        size: side of the picture in pixels.
    """

    size: int

    @property
    def cells(self) -> int:
        """Cells along a side of the map."""
        return min(_CELLS, self.size)

    @property
    def patch(self) -> int:
        """Cells along a side of the patch."""
        return max(1, round(self.cells * _PATCH))

    @property
    def edges(self) -> NDArray[np.int64]:
        """Where the cells begin and end, in pixels: (cells + 1,)."""
        return np.linspace(0, self.size, self.cells + 1).round().astype(np.int64)

    @property
    def windows(self) -> list[Window]:
        """Every position, row by row."""
        starts = range(self.cells - self.patch + 1)
        return [
            Window(top, top + self.patch, left, left + self.patch)
            for top in starts
            for left in starts
        ]

    def covered(self, pixels: NDArray[np.uint8], count: int) -> Iterator[NDArray[np.uint8]]:
        """Covered copies, in the order of `windows`, never more than ``count`` in memory.

        Args:
            pixels: the picture, uint8 (size, size, 3).
            count: how many to give at a time.

        Yields:
            uint8 (at most count, size, size, 3).
        """
        edges, windows = self.edges, self.windows
        for start in range(0, len(windows), count):
            some = windows[start : start + count]
            copies = np.repeat(pixels[np.newaxis], len(some), axis=0)
            for copy, window in zip(copies, some, strict=True):
                copy[
                    edges[window.top] : edges[window.bottom],
                    edges[window.left] : edges[window.right],
                ] = GREY
            yield copies

    def drops(self, probability: float, covered: Sequence[float]) -> NDArray[np.float64]:
        """The map.

        Args:
            probability: of the predicted class, for the whole picture.
            covered: the same for each covered copy, in the order of `windows`.

        Returns:
            float64 (cells, cells): the mean drop in each cell, from -1 to 1; above 0 where the
            prediction rests on what is there.
        """
        total = np.zeros((self.cells, self.cells))
        count = np.zeros((self.cells, self.cells))
        for window, value in zip(self.windows, covered, strict=True):
            cells = np.s_[window.top : window.bottom, window.left : window.right]
            total[cells] += probability - value
            count[cells] += 1
        return total / count
