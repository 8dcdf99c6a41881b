"""Collecting what a data report says; whoever shows it, on a page or in lines, finds it here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data.dataset import Dataset, Split
from tenfold.data.decode_worker import FORMAT_NAMES
from tenfold.data.duplicates import Duplicates, find_duplicates
from tenfold.data.leaks import Leaks, leaks_between
from tenfold.data.report.suspicion import Suspects, Suspicion
from tenfold.data.store import Store

SPLITS = {0: "train", 1: "validation", 2: "test", -1: "none"}

_MOST_SIZES = 1000


@dataclass(frozen=True)
class Member:
    """One picture of a group of duplicates.

    Attributes:
        position: in the store.
        name: in the source.
        split: that it is in.
        label: its class, by position in the class names.
        exact: whether another picture of the group is equal to it in every pixel.
    """

    position: int
    name: str
    split: str
    label: int
    exact: bool


@dataclass(frozen=True)
class Group:
    """Pictures that hang together by duplicates.

    Attributes:
        positions: int64 (n,), in the store, rising.
        leaks: whether it leaks between splits.
        into_test: whether it does into the test.
        conflict: whether its pictures have different labels.
        exact: whether all of them are equal in every pixel.
    """

    positions: NDArray[np.int64]
    leaks: bool
    into_test: bool
    conflict: bool
    exact: bool


@dataclass(frozen=True)
class Sizes:
    """The original sizes of the pictures.

    Attributes:
        common: width, height and number of pictures of each size, the most frequent first; of many
            sizes a thousand.
        distinct: how many sizes there are.
        width: least, median and largest.
        height: likewise.
        enlarged: pictures whose shorter side is below the store's size.
        cropped: pictures that are not square, and lose what lies beyond the centre square.
    """

    common: tuple[tuple[int, int, int], ...]
    distinct: int
    width: tuple[int, int, int]
    height: tuple[int, int, int]
    enlarged: int
    cropped: int


@dataclass(frozen=True)
class Accusation:
    """One suspicious label.

    Attributes:
        position: of the picture in the store.
        name: in the source.
        label: the class that it is said to be of.
        predicted: the class that the model takes it for.
        confidence: the model's probability of that.
        label_confidence: its probability of the label.
    """

    position: int
    name: str
    label: str
    predicted: str
    confidence: float
    label_confidence: float


@dataclass(frozen=True)
class DataReport:
    """What a source holds, and what is wrong with it.

    Attributes:
        dataset: the source, with the splits as a training with default settings draws them.
        store: its pictures.
        counts: pictures of each class by split.
        sizes: of the originals.
        formats: pictures by file format, the most frequent first.
        duplicates: equal pictures and changed copies.
        groups: pictures that hang together by them: leaks first, then conflicts of labels, then
            the largest.
        leaks: between splits.
        suspicion: labels that a run's model contradicts; None where no run was given.
    """

    dataset: Dataset
    store: Store
    counts: dict[str, NDArray[np.int64]]
    sizes: Sizes
    formats: dict[str, int]
    duplicates: Duplicates
    groups: tuple[Group, ...]
    leaks: Leaks
    suspicion: Suspicion | None = None
    _split_codes: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))

    @property
    def total(self) -> int:
        """Pictures that could be decoded."""
        return len(self.store)

    @property
    def imbalance(self) -> float:
        """How many times as many training pictures the largest class has as the smallest."""
        train = self.counts["train"]
        return float(train.max() / train.min())

    def members(self, group: Group, most: int | None = None) -> Iterator[Member]:
        """The pictures of a group; of many, some from each split."""
        first = self.duplicates.first[group.positions]
        _, where, count = np.unique(first, return_inverse=True, return_counts=True)
        for at in self._chosen(group, most):
            position = int(group.positions[at])
            yield Member(
                position=position,
                name=self.store.origins[position].name,
                split=SPLITS[self._split_codes[position]],
                label=int(self.store.labels[position]),
                exact=bool(count[where[at]] > 1),
            )

    def _chosen(self, group: Group, most: int | None) -> list[int]:
        """Places in a group: all, or ``most`` with the test's first, each split in turn."""
        codes = self._split_codes[group.positions]
        queues = [np.flatnonzero(codes == code).tolist() for code in (2, 1, 0)]
        chosen = []
        while any(queues):
            chosen += [queue.pop(0) for queue in queues if queue]
        return chosen[:most]

    def accusations(self, part: Suspects, most: int) -> Iterator[Accusation]:
        """The surest contradictions of a split, by name."""
        names = self.dataset.class_names
        for at in range(min(len(part), most)):
            position = int(part.positions[at])
            yield Accusation(
                position=position,
                name=self.store.origins[position].name,
                label=names[part.labels[at]],
                predicted=names[part.predicted[at]],
                confidence=float(part.confidence[at]),
                label_confidence=float(part.label_confidence[at]),
            )


def collect(
    dataset: Dataset,
    *,
    suspicion: Suspicion | None = None,
    search_progress: Callable[[int, int | None], None] | None = None,
) -> DataReport:
    """Collect what is to be said of a dataset; looks for duplicates where nobody did yet.

    Memory is bounded by some tens of bytes a picture.

    Args:
        dataset: from `tenfold.open_dataset`, all of its pictures in one of its splits.
        suspicion: what a run's model holds against the labels.
        search_progress: told how many pairs of pictures are compared, and of how many.

    Raises:
        ValueError: the dataset was put together by hand.
    """
    store = dataset.store
    if store is None:
        raise ValueError("a report is made of a dataset from open_dataset")
    splits = (dataset.train, dataset.validation, dataset.test)
    duplicates = find_duplicates(store, progress=search_progress)
    codes = np.full(len(store), -1, np.int8)
    for code, split in enumerate(splits):
        codes[split.indices] = code
    return DataReport(
        dataset=dataset,
        store=store,
        counts={split.name: split.class_counts(len(dataset.class_names)) for split in splits},
        sizes=_sizes(store),
        formats=_formats(store),
        duplicates=duplicates,
        groups=_groups(store, duplicates, splits),
        leaks=leaks_between(duplicates, *(split.indices for split in splits)),
        suspicion=suspicion,
        _split_codes=codes,
    )


def _sizes(store: Store) -> Sizes:
    packed = np.empty(len(store), np.uint64)
    for start, rows in store.origins.blocks():
        both = rows["width"].astype(np.uint64) << np.uint64(32) | rows["height"]
        packed[start : start + len(rows)] = both
    width, height = (packed >> np.uint64(32)).astype(np.int64), packed.astype(np.uint32)
    values, counts = np.unique(packed, return_counts=True)
    order = np.lexsort((values, -counts))
    return Sizes(
        common=tuple(
            (int(values[at]) >> 32, int(values[at]) & 0xFFFFFFFF, int(counts[at]))
            for at in order[:_MOST_SIZES]
        ),
        distinct=len(values),
        width=_spread(width),
        height=_spread(height),
        enlarged=int((np.minimum(width, height) < store.size).sum()),
        cropped=int((width != height).sum()),
    )


def _spread(values: NDArray[np.integer[Any]]) -> tuple[int, int, int]:
    middle = np.partition(values, len(values) // 2)[len(values) // 2]
    return int(values.min()), int(middle), int(values.max())


def _formats(store: Store) -> dict[str, int]:
    counts = np.zeros(256, np.int64)
    for _, rows in store.origins.blocks():
        counts += np.bincount(rows["format"], minlength=256)
    named = {name: int(counts[number]) for number, name in enumerate(FORMAT_NAMES)}
    return dict(sorted(((k, v) for k, v in named.items() if v), key=lambda item: -item[1]))


def _groups(store: Store, duplicates: Duplicates, splits: tuple[Split, ...]) -> tuple[Group, ...]:
    train, validation, test = (split.indices for split in splits)
    into_test, leaking = np.zeros((2, len(store)), bool)
    for one, other, marks in (
        (np.concatenate([train, validation]), test, into_test),
        (train, validation, leaking),
    ):
        marks[one] |= duplicates.within(one, other)
    leaking |= into_test
    groups = [
        Group(
            positions=members,
            leaks=bool(leaking[members].any()),
            into_test=bool(into_test[members].any()),
            conflict=len(np.unique(store.labels[members])) > 1,
            exact=len(np.unique(duplicates.first[members])) == 1,
        )
        for members in duplicates.groups()
    ]
    groups.sort(
        key=lambda group: (
            not group.into_test,
            not group.leaks,
            not group.conflict,
            not group.exact,
            -len(group.positions),
        )
    )
    return tuple(groups)
