"""Pictures that are in two splits: counted, said, and left out where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tenfold.data import Dataset, open_dataset
from tenfold.data.duplicates import find_duplicates
from tenfold.data.leaks import Leaks, known_leaks
from tenfold.data.sources.base import Picture, Source, SplitName
from tenfold.errors import SourceError

from .duplicates.pictures import Pixels, photographs


class Listed(Source):
    """Pictures with a class and a split each."""

    kind = "listed"

    def __init__(
        self, pictures: Pixels, labels: Sequence[str], splits: Sequence[SplitName | None]
    ) -> None:
        super().__init__("listed")
        self._entries = list(zip(pictures, labels, splits, strict=True))
        self._seed = str(hash((pictures.tobytes(), tuple(labels), tuple(splits))))

    def fingerprint(self) -> str:
        return self._seed

    def pictures(self) -> Iterator[Picture]:
        for number, (pixels, label, split) in enumerate(self._entries):
            yield Picture(f"{number}.png", label, split, pixels)


TRAIN, VALIDATION, TEST = range(20), range(20, 28), range(28, 40)


def leaky(labels: str = "ab") -> Source:
    """Splits of 20, 8 and 12 pictures; what leaks is written out below."""
    pictures = photographs(40, seed=11)
    pictures[5] = pictures[30]  # equal, training and test
    pictures[6] = pictures[30, :, ::-1]  # changed, training and test
    pictures[7] = pictures[22]  # equal, training and validation
    pictures[23] = pictures[31, :, ::-1]  # changed, validation and test
    pictures[8] = pictures[23]  # equal to that one: training and validation, and test by change
    pictures[10] = pictures[9]  # within training: no leak
    pictures[33] = pictures[32]  # within the test: no leak
    splits: list[SplitName | None] = [*["train"] * 20, *["validation"] * 8, *["test"] * 12]
    return Listed(pictures, [labels[n % len(labels)] for n in range(40)], splits)


def opened(source: Source, cache: Path, **options: object) -> Dataset:
    return open_dataset(source, size=32, cache=cache, **options)  # type: ignore[arg-type]


def test_equal_pictures_are_known_without_looking_and_changed_ones_after(tmp_path: Path) -> None:
    dataset = opened(leaky(), tmp_path)
    assert known_leaks(dataset) == Leaks(
        test=1, train_in_test=1, validation_in_test=0, train_in_validation=2, near=False
    )
    assert dataset.store is not None
    find_duplicates(dataset.store)
    assert known_leaks(dataset) == Leaks(
        test=2, train_in_test=3, validation_in_test=1, train_in_validation=2, near=True
    )


def test_no_leak_is_false(tmp_path: Path) -> None:
    pictures = photographs(30)
    dataset = opened(Listed(pictures, "ab" * 15, [None] * 30), tmp_path)
    assert not known_leaks(dataset)


def test_a_dataset_put_together_by_hand_has_no_known_leaks(tmp_path: Path) -> None:
    whole = opened(leaky(), tmp_path)
    by_hand = Dataset(
        whole.source, whole.kind, whole.fingerprint, whole.class_names, whole.size,
        whole.train, whole.validation, whole.test, (),
    )  # fmt: skip
    assert known_leaks(by_hand) is None


def test_duplicates_of_what_is_measured_by_are_left_out(tmp_path: Path) -> None:
    plain = opened(leaky(), tmp_path)
    clean = opened(leaky(), tmp_path, drop_leaks=True)
    np.testing.assert_array_equal(clean.test.indices, plain.test.indices)
    assert clean.validation.indices.tolist() == [n for n in VALIDATION if n != 23]
    assert clean.train.indices.tolist() == [n for n in TRAIN if n not in (5, 6, 7, 8)]
    assert clean.dropped == {"train": 4, "validation": 1}
    assert (plain.dropped, plain.options["drop_leaks"]) == ({}, False)
    assert not known_leaks(clean)


def test_the_options_draw_the_same_splits_again(tmp_path: Path) -> None:
    pictures = photographs(60, seed=2)
    pictures[30:45] = pictures[:15, :, ::-1]
    source = Listed(pictures, "abc" * 20, [None] * 60)
    first = opened(source, tmp_path / "one", drop_leaks=True, rows=20, seed=5)
    options = {key: value for key, value in first.options.items() if key != "size"}
    again = opened(source, tmp_path / "two", **options)
    for name in ("train", "validation", "test"):
        indices = getattr(first, name).indices
        np.testing.assert_array_equal(indices, getattr(again, name).indices)
    assert sum(first.dropped.values()) > 0
    assert len(first.train) == 20  # rows are limited after leaks are left out
    assert not known_leaks(first)


def test_a_class_of_leaks_only_is_refused(tmp_path: Path) -> None:
    pictures = photographs(12)
    pictures[0], pictures[2] = pictures[8], pictures[8]
    splits: list[SplitName | None] = [*["train"] * 6, *["test"] * 6]
    source = Listed(pictures, ["a", "b", "a", "b", "b", "b"] * 2, splits)
    with pytest.raises(
        SourceError, match="no training pictures of class 'a' that are no duplicates"
    ):
        opened(source, tmp_path, validation=0.0, drop_leaks=True)


def test_the_search_tells_how_far_it_is(tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    opened(
        leaky(),
        tmp_path,
        drop_leaks=True,
        search_progress=lambda done, total: calls.append((done, total)),
    )
    assert calls
    assert calls[-1][0] == calls[-1][1]
