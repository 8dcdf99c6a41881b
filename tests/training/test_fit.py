"""What a training may see, and that it comes out the same each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tenfold.data.dataset import Dataset, Split
from tenfold.data.normalization import Normalization
from tenfold.models import build_network
from tenfold.recipe import AugmentationSection, ModelSection, Recipe, TrainingSection
from tenfold.training.fit import Fitted, fit, training_order

RECIPE = Recipe(
    seed=5,
    model=ModelSection(name="lab-2", dropout=0.2),
    augmentation=AugmentationSection(flip="random"),
    training=TrainingSection(epochs=2, batch_size=16),
)
Weights = list[NDArray[np.float32]]


def train(dataset: Dataset) -> tuple[Weights, Fitted]:
    """The weights that a training ends with."""
    network = build_network(RECIPE.model, size=8, classes=3, seed=RECIPE.seed)
    fitted = fit(network, RECIPE, dataset, Normalization.fit("standard", dataset))
    return network.get_weights(), fitted


def same(ours: Weights, theirs: Weights) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def garbage(split: Split) -> Split:
    random = np.random.default_rng(9)
    images = random.integers(0, 256, split.images.shape, np.uint8)
    return replace(split, images=images, labels=np.roll(split.labels, 1))


@pytest.fixture(scope="module")
def dataset(make_dataset: Callable[..., Dataset]) -> Dataset:
    return make_dataset()


@pytest.fixture(scope="module")
def trained(dataset: Dataset) -> Weights:
    return train(dataset)[0]


def test_one_seed_gives_the_same_bits_whatever_the_processs_generators_do(
    dataset: Dataset, trained: Weights
) -> None:
    np.random.seed(7)  # noqa: NPY002  # the old generator is the one that a process shares
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    again, fitted = train(dataset)
    assert same(again, trained)
    assert fitted == Fitted(epochs=2, best_epoch=None)
    assert np.random.random() == expected  # noqa: NPY002


def test_in_bf16_too_one_seed_gives_the_same_bits_and_another_gives_others(
    dataset: Dataset,
) -> None:
    recipe = RECIPE.overridden(["model.name=lab-1", "training.epochs=1"])
    start = build_network(recipe.model, size=8, classes=3, precision="bf16").get_weights()

    def trained(seed: int) -> Weights:
        network = build_network(recipe.model, size=8, classes=3, precision="bf16")
        changed = recipe.model_copy(update={"seed": seed})
        fit(network, changed, dataset, Normalization.fit("standard", dataset))
        return network.get_weights()  # type: ignore[no-any-return]

    first, again, other = trained(5), trained(5), trained(6)
    assert same(first, again)
    assert not same(first, other)
    assert not same(first, start)
    assert {weights.dtype for weights in first} == {np.dtype(np.float32)}


def test_no_pixel_or_label_but_the_training_splits_changes_a_weight(
    dataset: Dataset, trained: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = replace(dataset, validation=garbage(dataset.validation), test=garbage(dataset.test))
    gather, read = Split.gather, set()

    def watched(self: Split, positions: NDArray[np.integer]) -> Any:
        read.add(self.name)
        return gather(self, positions)

    monkeypatch.setattr(Split, "gather", watched)
    assert same(train(changed)[0], trained)
    assert read == {"train", "validation"}


def test_a_training_learns(make_dataset: Callable[..., Dataset]) -> None:
    dataset = make_dataset(train=90)
    recipe = RECIPE.overridden(
        ["model.name=lab-1", "training.epochs=8", "optimizer.learning_rate=0.01"]
    )
    network = build_network(recipe.model, size=8, classes=3, seed=0)
    normalization = Normalization.fit("standard", dataset)
    fit(network, recipe, dataset, normalization)
    pixels, labels = dataset.test.gather(np.arange(len(dataset.test)))
    predicted = np.argmax(network(normalization.apply(pixels.astype(np.float32))), axis=1)
    assert (predicted == labels).mean() > 0.9  # they differ in brightness


def test_the_order_is_the_recipes(dataset: Dataset) -> None:
    order = training_order(RECIPE, dataset)
    assert (order.count, order.batch_size, order.seed, order.shuffle) == (40, 16, 5, True)
    assert order.steps_per_epoch == 3
