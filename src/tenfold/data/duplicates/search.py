"""Which pairs of pictures are worth a closer look: every pair is compared by its descriptors.

The comparison is a matrix product, tile by tile, on all cores; it reads the descriptors from disk
in parts and keeps for each picture no more than a few partners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tenfold.data.duplicates.descriptors import EVEN

LEAST = 0.74
"""Correlation of weighted descriptors from which on a pair is looked at. On CIFAR-10 it leaves one
pair in 14,000; of changed copies it loses one in fifty (docs/data-report.md)."""

PARTNERS = 16
"""The most partners that are kept for a picture among those after it."""

_TILE = 512
_UNDECIDED = 0.1
"""Where a picture and its mirror image score nearly alike, both are looked at."""


class Candidates(NamedTuple):
    """Pairs to look at.

    Attributes:
        first: int64 (n,), numbers of pictures.
        second: int64 (n,), likewise, each above its ``first``.
        mirrored: bool (n,), whether the second is to be mirrored.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    mirrored: NDArray[np.bool_]


def candidates(
    load: Callable[[int, int], NDArray[np.float32]],
    start: int,
    stop: int,
    count: int,
    least: float = LEAST,
) -> Candidates:
    """Partners of the pictures from ``start`` to ``stop`` among themselves and those after them.

    Args:
        load: gives the weighted descriptors from one number to another, float32 (n, LENGTH).
        start: the first picture.
        stop: the one after the last.
        count: how many pictures there are.
        least: the correlation from which on a pair counts.
    """
    ours = load(start, stop)
    best = _Best(len(ours), least)
    for begin, theirs in _tiles(load, start, count):
        even, odd = (
            np.ascontiguousarray(theirs[:, :EVEN].T),
            np.ascontiguousarray(theirs[:, EVEN:].T),
        )
        for at in range(0, len(ours), _TILE):
            if begin + theirs.shape[0] <= start + at:
                continue  # these pairs are met the other way round
            rows = ours[at : at + _TILE]
            turned = rows[:, EVEN:] @ odd
            scores = np.abs(turned)
            scores += rows[:, :EVEN] @ even
            best.add(scores, turned, at, begin, start)
    return best.pairs(start)


def _tiles(
    load: Callable[[int, int], NDArray[np.float32]], start: int, count: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for begin in range(start, count, 8 * _TILE):
        block = load(begin, min(begin + 8 * _TILE, count))
        for at in range(0, len(block), _TILE):
            yield begin + at, block[at : at + _TILE]


class _Best:
    """The best partners of some pictures so far."""

    def __init__(self, rows: int, least: float) -> None:
        self._scores = np.full((rows, PARTNERS), -1, np.float32)
        self._numbers = np.full((rows, PARTNERS), -1, np.int64)
        self._turned = np.zeros((rows, PARTNERS), np.float32)
        self._least = np.full(rows, least, np.float32)

    def add(
        self,
        scores: NDArray[np.float32],
        turned: NDArray[np.float32],
        at: int,
        begin: int,
        start: int,
    ) -> None:
        """Take a tile into account: rows from ``at`` on, columns the pictures from ``begin``."""
        least = self._least[at : at + len(scores)]
        hit = np.flatnonzero(scores.max(axis=1) >= least)
        if not len(hit):
            return
        values = scores[hit]
        numbers = begin + np.arange(scores.shape[1])
        values[numbers <= start + at + hit[:, np.newaxis]] = -1  # itself, and pairs met before
        values[values < least[hit, np.newaxis]] = -1
        rows = at + hit
        values = np.concatenate([self._scores[rows], values], axis=1)
        top = np.argpartition(-values, PARTNERS - 1, axis=1)[:, :PARTNERS]
        numbers = np.concatenate(
            [self._numbers[rows], np.broadcast_to(numbers, (len(rows), len(numbers)))], axis=1
        )
        signs = np.concatenate([self._turned[rows], turned[hit]], axis=1)
        self._scores[rows] = np.take_along_axis(values, top, 1)
        self._numbers[rows] = np.take_along_axis(numbers, top, 1)
        self._turned[rows] = np.take_along_axis(signs, top, 1)
        self._least[rows] = np.maximum(self._least[rows], self._scores[rows].min(axis=1))

    def pairs(self, start: int) -> Candidates:
        """What was kept; a pair twice where it may be mirrored or not."""
        rows, places = np.nonzero(self._scores > 0)
        numbers, turned = self._numbers[rows, places], self._turned[rows, places]
        mirrored = turned < 0
        both = np.abs(turned) < _UNDECIDED
        return Candidates(
            np.concatenate([start + rows, start + rows[both]]),
            np.concatenate([numbers, numbers[both]]),
            np.concatenate([mirrored, ~mirrored[both]]),
        )
