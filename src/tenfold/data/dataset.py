"""The dataset: a store, and which of its pictures train, validate and test a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data import sources
from tenfold.data.duplicates import find_duplicates
from tenfold.data.leaks import without_leaks
from tenfold.data.prepare import SKIPPED_SHARE, SPLIT_CODES, Progress
from tenfold.data.rows import RowReader
from tenfold.data.sources.base import Source, SplitName
from tenfold.data.splits import hold_out, limit_rows
from tenfold.data.store import Store, open_store
from tenfold.errors import RecipeError, SourceError

DEFAULT_SIZE = 32
"""Side in pixels of the pictures of a source that has no size of its own."""

_BLOCK_BYTES = 4 * 2**20
_BLOCK_PICTURES = 2**24 // 255**2
"""A float32 holds whole numbers up to 2**24 exactly, and so the squares of this many pixels."""


@dataclass(frozen=True, eq=False)
class Split:
    """Some pictures of a store, in the store's order.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        images: uint8 (N, H, W, 3), the pixels of the whole store, memory-mapped. Indexing it makes
            its pages resident, so read through `gather`.
        labels: int32 (N,), the classes of the whole store.
        indices: int64 (n,), where this split's pictures lie in the store, in rising order.
    """

    name: SplitName
    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    indices: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indices)

    def class_counts(self, classes: int) -> NDArray[np.int64]:
        """Pictures of each class, int64 (classes,)."""
        return np.bincount(self.labels[self.indices], minlength=classes)

    def gather(self, positions: NDArray[np.integer]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """Copy pictures out of the store; memory does not grow with what was gathered before.

        Args:
            positions: integers (m,), positions in this split, in any order.

        Returns:
            Pixels, uint8 (m, H, W, 3), and classes, int32 (m,).

        Raises:
            IndexError: a position is not in this split.
        """
        rows = self.indices[positions]
        return self._reader.read(rows), self.labels[rows]

    def batches(self, size: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int32]]]:
        """Every picture once, in order, as `gather` gives them, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.gather(np.arange(start, min(start + size, len(self))))

    @cached_property
    def _reader(self) -> RowReader:
        return RowReader(self.images)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A source's pictures, decoded, in three splits that have no picture in common.

    Attributes:
        source: what the user named.
        kind: the kind of source, in a word.
        fingerprint: changes whenever the source's pictures, labels or splits do.
        class_names: the classes in label order.
        size: side of the square pictures in pixels.
        train: what the optimizer sees; never empty, and no class is absent.
        validation: what early stopping and model selection see; may be empty.
        test: what only the final figures come from; never empty.
        skipped: name and reason of each damaged picture that was left out.
        options: the arguments of `open_dataset` that drew the splits; with them and the source
            the same splits can be drawn again. Empty for a dataset that was put together by hand.
        store: what the splits are parts of; None for a dataset that was put together by hand.
        dropped: how many pictures were left out as leaks, by split; empty where none were to be.
    """

    source: str
    kind: str
    fingerprint: str
    class_names: tuple[str, ...]
    size: int
    train: Split
    validation: Split
    test: Split
    skipped: tuple[tuple[str, str], ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    store: Store | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    def channel_statistics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each colour channel, over the training split only.

        They are exact up to the last division, whatever the number of pictures.

        Returns:
            Mean and (population) standard deviation, float64 (3,), in pixel units from 0 to 255.
        """
        block = max(1, min(_BLOCK_PICTURES, _BLOCK_BYTES // (self.size * self.size * 3)))
        sums, squares = np.zeros(3, np.int64), np.zeros(3, np.int64)
        for start in range(0, len(self.train), block):
            positions = np.arange(start, min(start + block, len(self.train)))
            pixels = self.train.gather(positions)[0].reshape(len(positions), -1).astype(np.float32)
            # Each column is added up by itself first, exactly, and with the widest instructions.
            columns = pixels.sum(axis=0)
            column_squares = np.einsum("nc,nc->c", pixels, pixels)
            sums += columns.reshape(-1, 3).sum(axis=0, dtype=np.float64).astype(np.int64)
            squares += column_squares.reshape(-1, 3).sum(axis=0, dtype=np.float64).astype(np.int64)
        count = len(self.train) * self.size * self.size
        # In Python's integers, because count * squares outgrows 64 bits.
        variances = [
            (count * int(square) - int(total) ** 2) / count**2
            for square, total in zip(squares, sums, strict=True)
        ]
        return sums / count, np.sqrt(np.array(variances))


def open_dataset(
    source: str | Path | Source,
    *,
    size: int | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    rows: int | None = None,
    test_rows: int | None = None,
    drop_leaks: bool = False,
    seed: int = 0,
    cache: Path | None = None,
    mirror: str | None = None,
    most_skipped: float = SKIPPED_SHARE,
    progress: Progress | None = None,
    download_progress: Progress | None = None,
    search_progress: Progress | None = None,
) -> Dataset:
    """Open a source as a dataset, decoding it into a store the first time.

    A split that the source gives is used as it is. Where it gives no test split, a seeded share of
    every class becomes the test; where it gives no validation split, a seeded share of every class
    of the training pictures becomes the validation. What the source puts in no split trains.

    Args:
        source: a name or a path, see `tenfold.data.sources.open_source`, or an open source.
        size: side in pixels of the square that pictures are fitted to; None: the source's own,
            or `DEFAULT_SIZE` where it has none.
        validation: share of the training pictures held out, from 0 to less than 1.
        test: share of the pictures held out for the test, from 0 to less than 1.
        rows: the most training pictures; taken after the validation split, every class by its
            share.
        test_rows: the most test pictures, likewise.
        drop_leaks: leave out training and validation pictures that are duplicates of test
            pictures, and training pictures that are duplicates of validation pictures, before
            the rows are limited; the test stays as it is. See `tenfold.data.duplicates`.
        seed: draws the splits and the rows.
        cache: folder that holds Tenfold's caches; None: TENFOLD_CACHE, or the system's.
        mirror: where to download a source from, instead of its official place.
        most_skipped: the largest share of the pictures that may be damaged.
        progress: called with the number of pictures decoded and the number expected, or None.
        download_progress: called with bytes likewise, where the source must be downloaded.
        search_progress: called with pairs of pictures compared likewise, where duplicates are
            searched.

    Raises:
        SourceError: the source cannot be read, or too much of it is damaged, or it cannot be
            split: fewer pictures than classes, a class without training pictures, no test
            pictures.
        RecipeError: ``rows`` is less than the number of classes.
        OutputError: the cache cannot be written.
    """
    if isinstance(source, Source):
        opened = source
    else:
        opened = sources.open_source(source, mirror=mirror, progress=download_progress)
    size = size or opened.native_size or DEFAULT_SIZE
    store = open_store(opened, size=size, cache=cache, progress=progress, most_skipped=most_skipped)
    train, valid, tested = _split(store, opened.name, validation, test, seed)
    dropped: dict[str, int] = {}
    if drop_leaks:
        before = {"train": len(train), "validation": len(valid)}
        train, valid = without_leaks(
            find_duplicates(store, progress=search_progress), train, valid, tested
        )
        dropped = {
            "train": before["train"] - len(train),
            "validation": before["validation"] - len(valid),
        }
        _check_classes(
            store, opened.name, train, " that are no duplicates of test or validation pictures"
        )
    if rows is not None:
        if rows < len(store.class_names):
            raise RecipeError(
                f"data.rows = {rows} is less than the {len(store.class_names)} classes of "
                f"{opened.name}; every class needs a training picture"
            )
        train = train[limit_rows(store.labels[train], rows, seed)]
    if test_rows is not None:
        tested = tested[limit_rows(store.labels[tested], test_rows, seed)]

    def split(name: SplitName, indices: NDArray[np.int64]) -> Split:
        return Split(name, store.images, store.labels, indices)

    return Dataset(
        source=opened.name,
        kind=opened.kind,
        fingerprint=store.fingerprint,
        class_names=store.class_names,
        size=size,
        train=split("train", train),
        validation=split("validation", valid),
        test=split("test", tested),
        skipped=store.skipped,
        options={
            "size": size,
            "validation": validation,
            "test": test,
            "rows": rows,
            "test_rows": test_rows,
            "drop_leaks": drop_leaks,
            "seed": seed,
        },
        store=store,
        dropped=dropped,
    )


def open_for_test(
    source: str | Path | Source,
    *,
    size: int,
    cache: Path | None = None,
    mirror: str | None = None,
    progress: Progress | None = None,
) -> tuple[Split, tuple[str, ...]]:
    """Open a source that nothing was trained on: its test split, or all of it where it has none.

    Args:
        source: as for `open_dataset`.
        size: side in pixels that the model takes.
        cache: as for `open_dataset`.
        mirror: likewise.
        progress: likewise.

    Returns:
        The pictures, and the source's own classes in label order.

    Raises:
        SourceError: the source cannot be read.
        OutputError: the cache cannot be written.
    """
    opened = source if isinstance(source, Source) else sources.open_source(source, mirror=mirror)
    store = open_store(opened, size=size, cache=cache, progress=progress)
    tested = np.flatnonzero(store.splits == SPLIT_CODES["test"])
    indices = tested if len(tested) else np.arange(len(store))
    return Split("test", store.images, store.labels, indices), store.class_names


_Indices = NDArray[np.int64]


def _split(
    store: Store, source: str, validation: float, test: float, seed: int
) -> tuple[_Indices, _Indices, _Indices]:
    """Where the training, validation and test pictures lie in the store."""
    if len(store) < len(store.class_names):
        raise SourceError(
            f"{source} has {len(store)} pictures for {len(store.class_names)} classes; "
            "add pictures, or take out classes"
        )

    valid = np.flatnonzero(store.splits == SPLIT_CODES["validation"])
    tested = np.flatnonzero(store.splits == SPLIT_CODES["test"])
    train = np.setdiff1d(np.arange(len(store)), np.concatenate([valid, tested]))
    if len(tested) == 0:
        kept, held = hold_out(store.labels[train], test, seed)
        train, tested = train[kept], train[held]
    if len(valid) == 0:
        kept, held = hold_out(store.labels[train], validation, seed)
        train, valid = train[kept], train[held]
    if len(tested) == 0:
        raise SourceError(
            f"{source} leaves no pictures for the test; add some, or set data.test above 0"
        )
    _check_classes(store, source, train)
    return train, valid, tested


def _check_classes(store: Store, source: str, train: _Indices, kind: str = "") -> None:
    """Refuse a class without training pictures; ``kind`` says which are meant."""
    numbers = np.bincount(store.labels[train], minlength=len(store.class_names))
    if (numbers == 0).any():
        absent = store.class_names[int(np.argmin(numbers))]
        raise SourceError(
            f"{source} has no training pictures of class '{absent}'{kind}; add some, or take it out"
        )
