"""Batches against plain NumPy, and the promises that resuming and honesty rest on."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tenfold import augment
from tenfold.data.dataset import Split
from tenfold.data.normalization import Normalization
from tenfold.data.pipeline import TrainingOrder, evaluation_batches, training_batches
from tenfold.recipe import AugmentationSection

AS_THEY_ARE = Normalization(offset=(0.0, 0.0, 0.0), scale=(1.0, 1.0, 1.0))
CLASSES = 5

counts = st.integers(1, 60)
batch_sizes = st.integers(1, 70)
seeds = st.integers(0, 2**31 - 1)


def split_of(count: int) -> Split:
    """Every other picture of a store, each with its place in the split in its first pixel."""
    random = np.random.default_rng(count)
    images = random.integers(0, 255, (2 * count, 4, 4, 3), np.uint8)
    labels = random.integers(0, CLASSES, 2 * count).astype(np.int32)
    indices = np.arange(count) * 2 + 1
    images[:, 0, 0] = 255  # stays so in pictures that are not the split's
    images[indices, 0, 0] = np.arange(count)[:, np.newaxis]
    return Split("train", images, labels, indices)


def train_on(split: Split, order: TrainingOrder, **changes: Any) -> list[tuple[Any, Any]]:
    """All batches of a training stream as arrays."""
    arguments = {
        "normalization": AS_THEY_ARE,
        "classes": CLASSES,
        "steps": order.steps_per_epoch,
    } | changes
    return list(training_batches(split, order, **arguments).as_numpy_iterator())


def identities(batches: list[tuple[Any, Any]]) -> list[int]:
    return [int(picture[0, 0, 0]) for pictures, _ in batches for picture in pictures]


@given(counts, batch_sizes, seeds, st.floats(0.01, 1), st.integers(1, 4), st.booleans())
def test_epochs_of_a_share_take_all_pictures_in_turn(
    count: int, batch_size: int, seed: int, share: float, rounds: int, shuffle: bool
) -> None:
    order = TrainingOrder(count, batch_size, seed, shuffle, share, whole_epochs=10**6)
    needed = -(-rounds * count // order.pictures_per_epoch)
    steps = range(needed * order.steps_per_epoch)
    seen = np.concatenate([order.positions(step) for step in steps])
    assert len(seen) == needed * order.pictures_per_epoch == order.pictures(len(steps))
    for number in range(rounds):
        in_turn = seen[number * count : (number + 1) * count]
        assert sorted(in_turn) == list(range(count))
        if not shuffle:
            assert in_turn.tolist() == list(range(count))


@given(counts, batch_sizes, seeds, st.data())
def test_an_epoch_that_is_chosen_for_holds_what_was_chosen(
    count: int, batch_size: int, seed: int, data: st.DataObject
) -> None:
    order = TrainingOrder(count, batch_size, seed, share=0.4, whole_epochs=2)
    every = st.permutations(range(count))
    chosen = np.array(data.draw(every)[: order.pictures_per_epoch])
    order.choose(5, chosen)
    first = 5 * order.steps_per_epoch
    seen = [order.positions(first + step) for step in range(order.steps_per_epoch)]
    assert sorted(np.concatenate(seen)) == sorted(chosen)


def test_each_round_mirrors_what_the_one_before_did_not() -> None:
    order = TrainingOrder(count=10, batch_size=5, seed=1, share=0.5, whole_epochs=4)
    assert [int(order.round_of(epoch)) for epoch in range(7)] == [0, 0, 1, 1, 2, 3, 4]
    assert [int(order.round_of(np.int64(epoch))) for epoch in range(3)] == [0, 0, 1]
    assert TrainingOrder(10, 5, 1).round_of(3) == 3


@given(counts, batch_sizes, seeds, st.integers(0, 3), st.booleans())
def test_each_epoch_holds_each_position_once(
    count: int, batch_size: int, seed: int, epoch: int, shuffle: bool
) -> None:
    order = TrainingOrder(count, batch_size, seed, shuffle)
    first = epoch * order.steps_per_epoch
    steps = [order.positions(first + step) for step in range(order.steps_per_epoch)]
    assert sorted(np.concatenate(steps)) == list(range(count))
    assert {len(step) for step in steps[:-1]} <= {batch_size}
    assert 1 <= len(steps[-1]) <= batch_size


@given(counts, batch_sizes, batch_sizes, seeds)
def test_the_order_of_an_epoch_follows_from_seed_and_epoch_alone(
    count: int, batch_size: int, other: int, seed: int
) -> None:
    def epochs(order: TrainingOrder, visit: list[int]) -> dict[int, list[int]]:
        steps = order.steps_per_epoch
        return {
            epoch: [
                position
                for step in range(epoch * steps, (epoch + 1) * steps)
                for position in order.positions(step).tolist()
            ]
            for epoch in visit
        }

    forwards = epochs(TrainingOrder(count, batch_size, seed), [0, 1, 2])
    backwards = epochs(TrainingOrder(count, other, seed), [2, 1, 0])
    assert forwards == backwards


def test_another_seed_or_epoch_is_another_order() -> None:
    orders = {
        tuple(TrainingOrder(50, 50, seed).positions(epoch)) for seed in (0, 1) for epoch in (0, 1)
    }
    assert len(orders) == 4


def test_nobody_can_change_the_order_that_others_will_see() -> None:
    positions = TrainingOrder(50, 10, seed=0).positions(0)
    before = positions.copy()
    positions[:] = 7
    np.testing.assert_array_equal(TrainingOrder(50, 10, seed=0).positions(0), before)


def test_without_shuffling_every_epoch_keeps_the_splits_order() -> None:
    split, order = split_of(7), TrainingOrder(7, 3, seed=4, shuffle=False)
    batches = train_on(split, order, steps=2 * order.steps_per_epoch)
    assert identities(batches) == [*range(7), *range(7)]


@settings(max_examples=12, deadline=None)
@given(counts, batch_sizes, seeds)
def test_an_epoch_shows_each_picture_of_the_split_once_with_its_label(
    count: int, batch_size: int, seed: int
) -> None:
    split = split_of(count)
    batches = train_on(split, TrainingOrder(count, batch_size, seed))
    seen = identities(batches)
    assert sorted(seen) == list(range(count))  # hence none of the store's other pictures, 255
    rows = split.indices[seen]
    pictures = np.concatenate([pictures for pictures, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    assert pictures.dtype == labels.dtype == np.float32
    np.testing.assert_array_equal(pictures, split.images[rows])
    np.testing.assert_array_equal(labels, np.eye(CLASSES)[split.labels[rows]])


def test_pictures_are_normalized_as_numpy_does_it() -> None:
    split, order = split_of(9), TrainingOrder(9, 9, seed=0, shuffle=False)
    normalization = Normalization(offset=(100.0, 120.0, 140.0), scale=(50.0, 60.0, 70.0))
    pixels = split.images[split.indices].astype(np.float64)
    expected = (pixels - [100, 120, 140]) / [50, 60, 70]
    [(trained, _)] = train_on(split, order, normalization=normalization)
    stream = evaluation_batches(split, batch_size=9, normalization=normalization)
    [(evaluated, _)] = stream.as_numpy_iterator()
    np.testing.assert_allclose(trained, expected, atol=1e-5)
    np.testing.assert_array_equal(evaluated, trained)


@pytest.fixture(scope="module")
def augmentation() -> augment.Augment:
    built = augment.build(AugmentationSection(flip="random", brightness=0.5, mixup=0.5))
    assert built is not None
    return built


def test_a_stream_that_starts_late_is_the_tail_of_the_whole_one(
    augmentation: augment.Augment,
) -> None:
    split, order = split_of(10), TrainingOrder(10, 4, seed=3)  # epochs of 4, 4 and 2 pictures
    whole = train_on(split, order, augment=augmentation, steps=8)
    for first in (1, 3, 5):
        tail = train_on(split, order, augment=augmentation, first_step=first, steps=8 - first)
        assert len(tail) == 8 - first
        for ours, theirs in zip(tail, whole[first:], strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
            np.testing.assert_array_equal(ours[1], theirs[1])


def test_augmentation_acts_on_pixel_values_and_anew_in_each_epoch(
    augmentation: augment.Augment,
) -> None:
    split, order = split_of(4), TrainingOrder(4, 4, seed=3)
    normalization = Normalization(offset=(128.0,) * 3, scale=(64.0,) * 3)
    batches = train_on(split, order, augment=augmentation, normalization=normalization, steps=2)
    for epoch, (pictures, labels) in enumerate(batches):
        positions = order.positions(epoch)
        pixels, classes = split.gather(positions)
        expected, mixed = augmentation(
            tf.constant(pixels, tf.float32),
            tf.one_hot(classes, CLASSES),
            ids=tf.constant(positions),
            epoch=tf.constant(epoch, tf.int64),
            seed=tf.constant(3, tf.int64),
        )
        np.testing.assert_allclose(pictures, (expected.numpy() - 128) / 64, atol=1e-5)
        np.testing.assert_allclose(labels, mixed, atol=1e-6)
    first, second = (sorted(pictures.sum((1, 2, 3))) for pictures, _ in batches)
    assert not np.allclose(first, second)


@settings(max_examples=8, deadline=None)
@given(counts, batch_sizes)
def test_evaluation_shows_every_picture_once_in_order(count: int, batch_size: int) -> None:
    split = split_of(count)
    stream = evaluation_batches(split, batch_size=batch_size, normalization=AS_THEY_ARE)
    batches = list(stream.as_numpy_iterator())
    assert identities(batches) == list(range(count))
    assert {len(labels) for _, labels in batches[:-1]} <= {batch_size}
    labels = np.concatenate([labels for _, labels in batches])
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, split.labels[split.indices])


def test_evaluation_labels_can_be_one_hot() -> None:
    split = split_of(6)
    stream = evaluation_batches(
        split, batch_size=6, normalization=AS_THEY_ARE, one_hot=CLASSES
    ).as_numpy_iterator()
    [(_, labels)] = stream
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, np.eye(CLASSES)[split.labels[split.indices]])


@pytest.mark.parametrize("kind", ["training", "evaluation"])
def test_only_a_few_batches_are_read_ahead(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    split, consumed, allowed = split_of(100), 2, 4
    gathered = itertools.count(1)
    too_many = threading.Event()
    gather = Split.gather

    def counting(self: Split, positions: NDArray[np.integer]) -> Any:
        if next(gathered) > consumed + allowed:
            too_many.set()
        return gather(self, positions)

    monkeypatch.setattr(Split, "gather", counting)
    if kind == "training":
        stream = training_batches(
            split,
            TrainingOrder(100, 2, seed=0),
            normalization=AS_THEY_ARE,
            classes=CLASSES,
            steps=50,
        )
    else:
        stream = evaluation_batches(split, batch_size=2, normalization=AS_THEY_ARE)
    batches = iter(stream)
    for _ in range(consumed):
        next(batches)
    # A reader without bound would be through all fifty in a few milliseconds.
    assert not too_many.wait(timeout=0.5)


@pytest.mark.parametrize(
    ("count", "batch_size", "at_a_time", "first"), [(23, 8, 3, 2), (5, 9, 4, 0), (40, 16, 8, 1)]
)
def test_the_parts_of_a_batch_put_together_are_the_batch(
    count: int, batch_size: int, at_a_time: int, first: int
) -> None:
    split, order = split_of(count), TrainingOrder(count, batch_size, seed=1)
    whole = train_on(split, order, first_step=first, steps=3)
    parts: Any = iter(train_on(split, order, first_step=first, steps=3, at_a_time=at_a_time))
    for pictures, labels in whole:
        found, last = [], False
        while not last:
            *part, share, last = next(parts)
            assert 1 <= len(part[0]) <= at_a_time
            assert share == pytest.approx(len(part[0]) / len(pictures))
            found.append(part)
        np.testing.assert_array_equal(np.concatenate([part[0] for part in found]), pictures)
        np.testing.assert_array_equal(np.concatenate([part[1] for part in found]), labels)
    assert next(parts, None) is None
