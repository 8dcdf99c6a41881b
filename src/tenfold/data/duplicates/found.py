"""The duplicates of a store: found once, kept beside it, asked who leaks into whom."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenfold import machine
from tenfold.data.duplicates.near import SMALLEST, Progress, find_near
from tenfold.data.store import Store, locked, remove, sweep, writing
from tenfold.files import atomic_path

METHOD_VERSION = 1
"""Raise it whenever the search finds other pairs: what was found before is then found anew."""


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Which pictures of a store are duplicates of one another.

    Attributes:
        first: int64 (N,), of each picture the first one that is equal to it in every pixel; itself
            where there is none before it.
        near: int64 (n, 2), pairs of such first ones of which one is a changed copy of the other,
            the lower position first.
        mirrored: bool (n,), whether one is the other's mirror image.
        likeness: float32 (n,), from `tenfold.data.duplicates.near.LEAST` to 1.
        compared: how many pictures were compared to find ``near``; the others are too small, or
            were not compared yet.
        near_searched: whether they were.
    """

    first: NDArray[np.int64]
    near: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    likeness: NDArray[np.float32]
    compared: int
    near_searched: bool = True

    @property
    def exact_copies(self) -> NDArray[np.int64]:
        """Pictures that are equal to one before them, in rising order."""
        return np.flatnonzero(self.first != np.arange(len(self.first)))

    def within(
        self, positions: NDArray[np.int64], other: NDArray[np.int64], *, near: bool = True
    ) -> NDArray[np.bool_]:
        """Which of some pictures have a duplicate among others.

        Args:
            positions: int64 (n,), in the store.
            other: int64 (m,), likewise; none of ``positions``.
            near: whether changed copies count too.

        Returns:
            bool (n,).
        """
        there = np.zeros(len(self.first), bool)
        there[self.first[other]] = True
        hit = there.copy()
        if near:
            for one, two in ((0, 1), (1, 0)):
                hit[self.near[there[self.near[:, two]], one]] = True
        return hit[self.first[positions]]

    def groups(self) -> Iterator[NDArray[np.int64]]:
        """Pictures that hang together by duplicates: each group rising, by its first picture."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        copies = self.exact_copies
        ends = np.concatenate([np.stack([self.first[copies], copies], axis=1), self.near])
        members, where = np.unique(ends, return_inverse=True)
        where = where.reshape(-1, 2)
        links = coo_array(
            (np.ones(len(where), bool), (where[:, 0], where[:, 1])), (len(members),) * 2
        )
        _, group = connected_components(links, directed=False)
        order = np.argsort(group, kind="stable")
        bounds = np.flatnonzero(np.diff(group[order])) + 1
        groups = [part for part in np.split(members[order], bounds) if len(part)]
        yield from sorted(groups, key=lambda part: int(part[0]))


def find_duplicates(store: Store, *, progress: Progress | None = None) -> Duplicates:
    """The duplicates of a store: as they are kept beside it, else found now and kept.

    Memory is some 40 bytes a picture at most, whatever its size.

    Args:
        store: the pictures.
        progress: told how many pairs of pictures are compared, and of how many.

    Raises:
        OutputError: the cache cannot be written, because the disk is full for instance.
    """
    path = _path(store)
    found = _read(path, store)
    if found is None and os.access(path.parent, os.W_OK):
        partial = store.path.with_suffix(".search.partial")
        with writing(path), locked(partial.with_suffix(".lock")):
            found = _read(path, store)  # another process may have searched while we waited
            if found is None:
                sweep(path.parent)
                remove(partial)
                try:
                    partial.mkdir()
                    found = _find(store, partial, progress)
                    _keep(path, store, found)
                finally:
                    remove(partial)
    elif found is None:  # in a read-only cache nothing can be kept
        with tempfile.TemporaryDirectory(prefix="tenfold-") as scratch:
            found = _find(store, Path(scratch), progress)
    return found


def known_duplicates(store: Store) -> Duplicates | None:
    """The duplicates that are kept beside a store; None where nobody has looked for them."""
    return _read(_path(store), store)


def exact_only(store: Store) -> Duplicates:
    """The pictures of a store that are equal in every pixel; no picture is read for it."""
    nothing = np.empty(0)
    return Duplicates(
        exact_firsts(store),
        np.empty((0, 2), np.int64),
        nothing.astype(bool),
        nothing.astype(np.float32),
        compared=0,
        near_searched=False,
    )


def exact_firsts(store: Store) -> NDArray[np.int64]:
    """Of each picture the first one that is equal to it in every pixel, int64 (N,).

    The digests were taken when the store was prepared, so that no picture is read.
    """
    digests = store.origins.digests()
    order = np.lexsort((np.arange(len(digests)), digests[:, 1], digests[:, 0]))
    begins = np.ones(len(order), bool)
    begins[1:] = (digests[order[1:]] != digests[order[:-1]]).any(axis=1)
    firsts = np.empty(len(order), np.int64)
    firsts[order] = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
    return firsts


def _find(store: Store, scratch: Path, progress: Progress | None) -> Duplicates:
    first = exact_firsts(store)
    large = np.zeros(len(store), bool)
    if store.size >= SMALLEST:
        for start, rows in store.origins.blocks():
            shorter = np.minimum(rows["width"], rows["height"])
            large[start : start + len(rows)] = shorter >= SMALLEST
    compared = np.flatnonzero(large & (first == np.arange(len(first))))
    near = find_near(
        store.images, compared, scratch, workers=machine.describe().cores, progress=progress
    )
    return Duplicates(first, *near, compared=int(large.sum()))


def _keep(path: Path, store: Store, found: Duplicates) -> None:
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            method=np.array(METHOD_VERSION),
            fingerprint=np.array(store.fingerprint),
            first=found.first,
            near=found.near,
            mirrored=found.mirrored,
            likeness=found.likeness,
            compared=np.array(found.compared),
        )


def _path(store: Store) -> Path:
    return store.path.with_suffix(".duplicates.npz")


def _read(path: Path, store: Store) -> Duplicates | None:
    """What was kept; None where nothing was, or it is damaged or of another method."""
    count = len(store)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            if (int(kept["method"]), str(kept["fingerprint"])) != (
                METHOD_VERSION,
                store.fingerprint,
            ):
                return None
            found = Duplicates(
                kept["first"],
                kept["near"],
                kept["mirrored"],
                kept["likeness"],
                int(kept["compared"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    pairs = len(found.near)
    sound = (
        found.first.shape == (count,)
        and found.near.shape == (pairs, 2)
        and found.mirrored.shape == found.likeness.shape == (pairs,)
        and found.first.dtype == found.near.dtype == np.int64
        and all(
            not part.size or 0 <= part.min() <= part.max() < count
            for part in (found.first, found.near)
        )
    )
    return found if sound else None
