"""Datasets: who trains, validates and tests, and what the training pixels look like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import tenfold.data
from tenfold.data import Dataset, Split, open_dataset
from tenfold.data.sources.base import Picture, Source, SplitName
from tenfold.errors import RecipeError, SourceError

SplitList = Sequence[SplitName | None]


class NumberedSource(Source):
    """Pictures whose first pixel tells their number; ``splits`` says where each one goes."""

    kind = "numbered"

    def __init__(
        self,
        labels: Sequence[int],
        splits: SplitList | None = None,
        class_count: int | None = None,
        side: int = 4,
        native_size: int | None = 4,
    ) -> None:
        super().__init__("numbered pictures")
        self._labels = labels
        self._splits = splits or [None] * len(labels)
        self._class_count = class_count
        self._side = side
        self._native_size = native_size

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return None if self._class_count is None else tuple("abcdefghij"[: self._class_count])

    @property
    def native_size(self) -> int | None:
        return self._native_size

    def fingerprint(self) -> str:
        return repr((self._labels, self._splits, self._class_count, self._side))

    def pictures(self) -> Iterator[Picture]:
        for number, (label, split) in enumerate(zip(self._labels, self._splits, strict=True)):
            pixels = np.random.default_rng(number).integers(
                0, 256, (self._side, self._side, 3), dtype=np.uint8
            )
            pixels[0, 0] = number // 256, number % 256, label
            yield Picture(str(number), "abcdefghij"[label], split, pixels)


def numbers(split: Split) -> list[int]:
    """The numbers of a split's pictures, read from their pixels."""
    pixels = split.gather(np.arange(len(split)))[0].astype(int)
    return [256 * high + low for high, low, _ in pixels[:, 0, 0].tolist()]


def parts(dataset: Dataset) -> tuple[list[int], list[int], list[int]]:
    """The numbers of each split's pictures; each must come with its own label."""
    for split in (dataset.train, dataset.validation, dataset.test):
        pixels, labels = split.gather(np.arange(len(split)))
        drawn = ["abcdefghij"[label] for label in pixels[:, 0, 0, 2].tolist()]
        assert [dataset.class_names[label] for label in labels.tolist()] == drawn
    return numbers(dataset.train), numbers(dataset.validation), numbers(dataset.test)


BALANCED = [number % 4 for number in range(400)]


def given_splits(train: int, validation: int, test: int) -> SplitList:
    return ["train"] * train + ["validation"] * validation + ["test"] * test


def test_without_splits_a_share_of_all_tests_and_a_share_of_the_rest_validates(
    tmp_path: Path,
) -> None:
    dataset = open_dataset(NumberedSource(BALANCED), cache=tmp_path)
    train, validation, test = parts(dataset)
    assert (len(train), len(validation), len(test)) == (288, 32, 80)
    for split in (dataset.train, dataset.validation, dataset.test):
        counts = np.bincount(split.labels[split.indices])
        assert counts.min() == counts.max()
    assert sorted(train + validation + test) == list(range(400))


def test_given_splits_are_used_as_they_are(tmp_path: Path) -> None:
    source = NumberedSource(BALANCED, given_splits(200, 120, 80))
    for seed in (0, 1):
        dataset = open_dataset(source, validation=0.5, test=0.5, seed=seed, cache=tmp_path)
        assert parts(dataset) == (
            list(range(200)),
            list(range(200, 320)),
            list(range(320, 400)),
        )


def test_a_given_test_split_is_kept_and_validation_comes_from_training(tmp_path: Path) -> None:
    source = NumberedSource(BALANCED, given_splits(320, 0, 80))
    train, validation, test = parts(open_dataset(source, cache=tmp_path))
    assert test == list(range(320, 400))
    assert len(validation) == 32
    assert sorted(train + validation) == list(range(320))


def test_a_given_validation_split_is_kept_and_the_test_comes_from_the_rest(tmp_path: Path) -> None:
    source = NumberedSource(BALANCED, given_splits(320, 80, 0))
    train, validation, test = parts(open_dataset(source, cache=tmp_path))
    assert validation == list(range(320, 400))
    assert len(test) == 64
    assert sorted(train + test) == list(range(320))


def test_what_is_in_no_split_trains(tmp_path: Path) -> None:
    splits: SplitList = [None] * 320 + ["test"] * 80
    train, validation, _ = parts(open_dataset(NumberedSource(BALANCED, splits), cache=tmp_path))
    assert sorted(train + validation) == list(range(320))


def test_no_validation_share_leaves_that_split_empty(tmp_path: Path) -> None:
    dataset = open_dataset(NumberedSource(BALANCED), validation=0.0, cache=tmp_path)
    assert (len(dataset.train), len(dataset.validation)) == (320, 0)
    pixels, labels = dataset.validation.gather(np.arange(0))
    assert (pixels.shape, labels.shape) == ((0, 4, 4, 3), (0,))


def test_rows_limit_training_after_validation_is_taken(tmp_path: Path) -> None:
    source = NumberedSource(BALANCED)
    whole = open_dataset(source, cache=tmp_path)
    limited = open_dataset(source, rows=40, test_rows=12, cache=tmp_path)
    assert (len(limited.train), len(limited.test)) == (40, 12)
    assert parts(limited)[1] == parts(whole)[1]
    assert set(numbers(limited.train)) < set(numbers(whole.train))
    assert set(numbers(limited.test)) < set(numbers(whole.test))
    assert np.bincount(limited.train.labels[limited.train.indices]).tolist() == [10] * 4
    assert np.bincount(limited.test.labels[limited.test.indices]).tolist() == [3] * 4
    assert (np.diff(limited.train.indices) > 0).all()


def test_the_seed_draws_the_splits(tmp_path: Path) -> None:
    source = NumberedSource(BALANCED)
    first, again, other = (open_dataset(source, seed=seed, cache=tmp_path) for seed in (0, 0, 1))
    assert parts(first) == parts(again)
    assert parts(first)[2] != parts(other)[2]


SPLITS = st.sampled_from([None, "train", "validation", "test"])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, 2), SPLITS), min_size=4, max_size=60),
    st.floats(0.0, 0.9),
    st.floats(0.01, 0.9),
    st.none() | st.integers(3, 30),
    st.integers(0, 2**31 - 1),
)
def test_no_picture_is_in_two_splits(
    tmp_path: Path,
    pictures: list[tuple[int, SplitName | None]],
    validation: float,
    test: float,
    rows: int | None,
    seed: int,
) -> None:
    labels, splits = zip(*pictures, strict=True)
    try:
        dataset = open_dataset(
            NumberedSource(labels, splits),
            validation=validation,
            test=test,
            rows=rows,
            test_rows=rows,
            seed=seed,
            cache=tmp_path,
        )
    except SourceError:
        return
    train, valid, tested = parts(dataset)
    together = train + valid + tested
    assert len(together) == len(set(together))
    for number, split in enumerate(splits):
        if split == "test":
            assert number not in train + valid
        if split == "validation":
            assert number not in train + tested
    if rows is None:
        assert sorted(together) == list(range(len(labels)))


# --- What a dataset says -------------------------------------------------------------------------


def test_a_dataset_says_where_it_comes_from(tmp_path: Path) -> None:
    source = NumberedSource(BALANCED)
    dataset = open_dataset(source, cache=tmp_path)
    assert dataset.source == "numbered pictures"
    assert dataset.kind == "numbered"
    assert dataset.fingerprint == source.fingerprint()
    assert dataset.class_names == ("a", "b", "c", "d")
    assert dataset.skipped == ()


def test_the_size_is_the_given_one_or_the_source_s_or_32(tmp_path: Path) -> None:
    def size(native: int | None, given: int | None) -> int:
        dataset = open_dataset(
            NumberedSource(BALANCED, native_size=native), size=given, cache=tmp_path
        )
        assert dataset.train.images.shape[1:] == (dataset.size, dataset.size, 3)
        return dataset.size

    assert size(4, None) == 4
    assert size(4, 6) == 6
    assert size(None, None) == 32


def test_gather_takes_positions_in_any_order(tmp_path: Path) -> None:
    split = open_dataset(NumberedSource(BALANCED), cache=tmp_path).train
    positions = np.array([5, 0, 287, 5])
    pixels, labels = split.gather(positions)
    assert (pixels.dtype, labels.dtype) == (np.uint8, np.int32)
    np.testing.assert_array_equal(pixels, np.array(split.images)[split.indices[positions]])
    np.testing.assert_array_equal(labels, split.labels[split.indices[positions]])
    with pytest.raises(IndexError):
        split.gather(np.array([288]))


@pytest.mark.parametrize("side", [4, 100])
def test_channel_statistics_are_those_of_the_training_pixels(side: int, tmp_path: Path) -> None:
    source = NumberedSource([0, 1] * 300, side=side, native_size=side)
    dataset = open_dataset(source, cache=tmp_path)
    pixels: NDArray[np.uint8] = np.array(dataset.train.images)[dataset.train.indices]
    mean, deviation = dataset.channel_statistics()
    assert mean.shape == deviation.shape == (3,)
    assert mean.dtype == deviation.dtype == np.float64
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(deviation, pixels.std(axis=(0, 1, 2)), rtol=1e-10)


def test_channel_statistics_are_exact_where_float32_would_round(tmp_path: Path) -> None:
    class White(NumberedSource):
        def fingerprint(self) -> str:
            return "white"

        def pictures(self) -> Iterator[Picture]:
            for picture in super().pictures():
                white = np.full((4, 4, 3), 255, np.uint8)
                yield Picture(picture.name, picture.label, picture.split, white)

    source = White([number % 2 for number in range(2000)])
    mean, deviation = open_dataset(source, cache=tmp_path).channel_statistics()
    assert mean.tolist() == [255.0] * 3
    assert deviation.tolist() == [0.0] * 3


def test_named_sources_are_opened(tmp_path: Path) -> None:
    dataset = open_dataset("digits", cache=tmp_path)
    assert len(dataset.train) + len(dataset.validation) + len(dataset.test) == 1797
    assert len(dataset.class_names) == 10


def test_the_public_names_are_there() -> None:
    for name in tenfold.data.__all__:
        assert getattr(tenfold.data, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing_such"):
        tenfold.data.nothing_such  # noqa: B018


# --- Refusals ------------------------------------------------------------------------------------


def test_fewer_pictures_than_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="3 pictures for 5 classes"):
        open_dataset(NumberedSource([0, 1, 2], class_count=5), cache=tmp_path)


def test_a_class_without_training_pictures_is_named(tmp_path: Path) -> None:
    source = NumberedSource([0, 1, 0, 1, 2, 0], ["train"] * 4 + ["test"] * 2)
    with pytest.raises(SourceError, match="no training pictures of class 'c'"):
        open_dataset(source, cache=tmp_path)
    source = NumberedSource([0, 1, 0, 1, 0, 1], class_count=3)
    with pytest.raises(SourceError, match="no training pictures of class 'c'"):
        open_dataset(source, cache=tmp_path)


def test_no_training_pictures_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no training pictures of class 'a'"):
        open_dataset(NumberedSource([0, 1] * 5, ["test"] * 10), cache=tmp_path)


def test_an_empty_test_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no pictures for the test.*data\.test"):
        open_dataset(NumberedSource(BALANCED), test=0.0, cache=tmp_path)
    with pytest.raises(SourceError, match="no pictures for the test"):
        open_dataset(NumberedSource([0, 1, 2]), cache=tmp_path)


def test_fewer_rows_than_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"data\.rows = 3 is less than the 4 classes"):
        open_dataset(NumberedSource(BALANCED), rows=3, cache=tmp_path)
