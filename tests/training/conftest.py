"""Datasets small enough to train on in a moment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tenfold.data.dataset import Dataset, Split
from tenfold.data.sources.base import SplitName

MakeDataset = Callable[..., Dataset]


@pytest.fixture(scope="session")
def make_dataset() -> MakeDataset:
    """Makes datasets whose classes can be told apart by brightness, without a store."""

    def make(train: int = 40, validation: int = 20, test: int = 20, classes: int = 3) -> Dataset:
        random = np.random.default_rng(0)

        def split(name: SplitName, count: int) -> Split:
            labels = (np.arange(count) % classes).astype(np.int32)
            noise = random.integers(0, 120, (count, 8, 8, 3))
            images = (noise + 60 * labels[:, None, None, None]).clip(0, 255).astype(np.uint8)
            return Split(name, images, labels, np.arange(count))

        return Dataset(
            source="made up",
            kind="arrays",
            fingerprint="0" * 64,
            class_names=tuple(f"class {label}" for label in range(classes)),
            size=8,
            train=split("train", train),
            validation=split("validation", validation),
            test=split("test", test),
            skipped=(),
        )

    return make
