"""Which pictures go where: stratified, seeded draws as pure functions of (labels, number, seed).

scikit-learn's splitters refuse classes with a single picture, let small classes fall out of a
part, and draw from a stream that NumPy may change between versions; these do not.

A picture's place is drawn by one raw 64-bit number of a PCG64 stream, whose bits NumPy promises
to keep, so that a split can be repeated from its seed for good.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def hold_out(
    labels: NDArray[np.int32], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out a share of every class.

    The number held out is ``round(fraction * n)``, shared between the classes by largest
    remainder. Of a class with two or more pictures at least one is held out and at least one
    kept, even where that changes the number; a class's only picture is kept.

    Args:
        labels: class of each picture, (n,), from 0 up.
        fraction: share to hold out, from 0 to less than 1; 0 holds out nothing.
        seed: the draw.

    Returns:
        Positions kept and positions held out, int64, each in rising order.
    """
    if not 0.0 <= fraction < 1.0:
        raise ValueError(f"fraction is from 0 to less than 1. Received: {fraction}")
    counts = np.bincount(labels)
    shares = np.zeros_like(counts)
    if fraction > 0.0 and len(labels):
        lowest = (counts >= 2).astype(counts.dtype)
        highest = np.maximum(counts - 1, 0)
        shares = _apportion(counts, round(fraction * len(labels)), lowest, highest)
    held = _draw(labels, counts, shares, seed)
    return np.flatnonzero(~held), np.flatnonzero(held)


def limit_rows(labels: NDArray[np.int32], rows: int, seed: int) -> NDArray[np.int64]:
    """Choose ``rows`` pictures, every class by its share, and keep their order.

    The rows are shared between the classes by largest remainder; where there are rows enough,
    every class keeps at least one.

    Args:
        labels: class of each picture, (n,), from 0 up.
        rows: how many to choose; all of them where there are no more.
        seed: the draw.

    Returns:
        Positions chosen, int64 (min(rows, n),), in rising order.
    """
    if rows < 1:
        raise ValueError(f"rows is at least 1. Received: {rows}")
    if rows >= len(labels):
        return np.arange(len(labels))
    counts = np.bincount(labels)
    present = (counts > 0).astype(counts.dtype)
    lowest = present if rows >= present.sum() else np.zeros_like(counts)
    shares = _apportion(counts, rows, lowest, counts)
    return np.flatnonzero(_draw(labels, counts, shares, seed))


def _apportion(
    counts: NDArray[np.int64], total: int, lowest: NDArray[np.int64], highest: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Share ``total`` between classes by their counts, largest remainder first, within bounds.

    Of equal remainders the lower class goes first. Where the bounds leave no room the sum is as
    near to ``total`` as they allow.
    """
    quotas = counts * (total / counts.sum())
    shares: NDArray[np.int64] = np.clip(np.floor(quotas).astype(np.int64), lowest, highest)
    while shares.sum() != total:
        step = 1 if shares.sum() < total else -1
        has_room = shares < highest if step > 0 else shares > lowest
        if not has_room.any():
            break
        shares[np.argmax(np.where(has_room, (quotas - shares) * step, -np.inf))] += step
    return shares


def _draw(
    labels: NDArray[np.int32], counts: NDArray[np.int64], shares: NDArray[np.int64], seed: int
) -> NDArray[np.bool_]:
    """Draw ``shares[c]`` pictures of each class c: bool (n,)."""
    numbers = np.random.PCG64(seed).random_raw(len(labels))
    order = np.lexsort((numbers, labels))  # class by class, at random within each
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank < shares[labels]
