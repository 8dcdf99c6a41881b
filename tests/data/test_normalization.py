"""Normalization against NumPy on the whole array."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tenfold.data.dataset import Dataset, Split
from tenfold.data.normalization import Normalization

RANDOM = np.random.default_rng(0)


def made_up(train: NDArray[np.uint8]) -> Dataset:
    """A dataset of which only the training pixels matter."""
    store = np.concatenate([train, RANDOM.integers(0, 256, (6, *train.shape[1:]), np.uint8)])
    labels = (np.arange(len(store)) % 2).astype(np.int32)
    count = len(train)
    return Dataset(
        source="made up",
        kind="arrays",
        fingerprint="",
        class_names=("a", "b"),
        size=train.shape[1],
        train=Split("train", store, labels, np.arange(count)),
        validation=Split("validation", store, labels, np.arange(count, count + 3)),
        test=Split("test", store, labels, np.arange(count + 3, count + 6)),
        skipped=(),
    )


def skewed() -> NDArray[np.uint8]:
    """Pictures whose channels differ in mean and deviation."""
    values = RANDOM.normal((60, 120, 200), (5, 30, 20), (50, 6, 6, 3))
    return values.clip(0, 255).astype(np.uint8)


def test_minmax_takes_the_range_of_a_byte_to_0_and_1() -> None:
    train = skewed()
    normalized = Normalization.fit("minmax", made_up(train)).apply(train.astype(np.float32))
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(normalized, train / 255, rtol=1e-6)


def test_standard_equals_numpy_over_the_training_split() -> None:
    train = skewed()
    normalized = Normalization.fit("standard", made_up(train)).apply(train.astype(np.float32))
    expected = (train - train.mean((0, 1, 2))) / train.std((0, 1, 2))
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(normalized, expected, atol=1e-5)


def test_statistics_never_look_at_validation_or_test_pictures() -> None:
    dataset = made_up(skewed())
    before = Normalization.fit("standard", dataset)
    poisoned = dataset.train.images.copy()
    poisoned[dataset.validation.indices] = 255
    poisoned[dataset.test.indices] = 0
    parts = (dataset.train, dataset.validation, dataset.test)
    train, validation, test = (replace(split, images=poisoned) for split in parts)
    changed = replace(dataset, train=train, validation=validation, test=test)
    assert Normalization.fit("standard", changed) == before


def test_undo_gives_back_every_pixel_value() -> None:
    every = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None, None], (256, 2, 2, 3))
    for kind in ("minmax", "standard"):
        normalization = Normalization.fit(kind, made_up(skewed()))
        restored = normalization.undo(normalization.apply(every.astype(np.float32)))
        assert restored.dtype == np.uint8
        np.testing.assert_array_equal(restored, every)


def test_a_channel_that_never_varies_becomes_0() -> None:
    train = skewed()
    train[..., 1] = 77
    normalized = Normalization.fit("standard", made_up(train)).apply(train.astype(np.float32))
    np.testing.assert_allclose(normalized[..., 1], 0, atol=1e-6)


def test_tensors_and_arrays_are_normalized_alike() -> None:
    train = skewed().astype(np.float32)
    normalization = Normalization(offset=(10.0, 20.0, 30.0), scale=(2.0, 3.0, 4.0))
    tensor = normalization.apply(tf.constant(train))
    assert tensor.dtype == tf.float32
    np.testing.assert_allclose(tensor, normalization.apply(train), rtol=1e-5, atol=1e-5)
