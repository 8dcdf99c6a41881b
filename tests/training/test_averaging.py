"""Moving averages of the weights against a plain loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from tenfold.data.dataset import Dataset
from tenfold.data.normalization import Normalization
from tenfold.models import build_network
from tenfold.recipe import ModelSection, Recipe, TrainingSection
from tenfold.training.averaging import EvaluateAverages, weights_to_evaluate
from tenfold.training.fit import fit
from tenfold.training.trainee import Trainee

DECAY = 0.8
RECIPE = Recipe(
    model=ModelSection(name="lab-2", dropout=0.0),
    training=TrainingSection(epochs=2, batch_size=16, average=DECAY),
)
Weights = list[NDArray[np.float32]]


class Witness(keras.callbacks.Callback):
    """Keeps the trained weights after each step, and what each evaluation saw."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Weights] = []
        self.evaluated: list[Weights] = []
        self.to_evaluate: list[Weights] = []

    def trained(self) -> Weights:
        return [np.array(variable) for variable in self.model.trainable_variables]

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self.steps.append(self.trained())

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self.evaluated.append(self.trained())

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.to_evaluate.append(weights_to_evaluate(self.model))


def train(dataset: Dataset) -> tuple[keras.Model, Witness]:
    witness = Witness()
    network = build_network(RECIPE.model, size=8, classes=3, seed=0)
    fit(network, RECIPE, dataset, Normalization.fit("minmax", dataset), [witness])
    return network, witness


@pytest.fixture(scope="module")
def trained(make_dataset: Callable[..., Dataset]) -> tuple[keras.Model, Witness]:
    return train(make_dataset())


@pytest.fixture(scope="module")
def averages(trained: tuple[keras.Model, Witness]) -> list[list[NDArray[np.float64]]]:
    """After each step, by a plain loop."""
    _, witness = trained
    after = [[value.astype(np.float64) for value in witness.steps[0]]]
    for latest in witness.steps[1:]:
        pairs = zip(after[-1], latest, strict=True)
        after.append([DECAY * average + (1 - DECAY) * value for average, value in pairs])
    return after


def assert_close(ours: Any, theirs: Any) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_training_ends_with_the_averages(trained: Any, averages: Any) -> None:
    network, witness = trained
    assert len(witness.steps) == 6
    assert_close(network.trainable_variables, averages[-1])
    assert not np.allclose(averages[-1][0], witness.steps[-1][0], rtol=1e-3)


def test_each_evaluation_sees_the_averages(trained: Any, averages: Any) -> None:
    _, witness = trained
    assert_close(witness.evaluated[0], averages[2])
    assert_close(witness.evaluated[1], averages[5])


def test_the_weights_to_evaluate_are_averages_beside_the_latest_statistics(
    trained: Any, averages: Any
) -> None:
    network, witness = trained
    averaged = iter(averages[-1])
    for variable, value in zip(network.weights, witness.to_evaluate[-1], strict=True):
        expected = next(averaged) if variable.trainable else variable
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)


def test_evaluating_changes_nothing_of_the_training(
    make_dataset: Callable[..., Dataset], trained: Any
) -> None:
    network, evaluated = trained
    dataset = make_dataset()
    none = replace(dataset.validation, indices=dataset.validation.indices[:0])
    quiet_network, quiet = train(replace(dataset, validation=none))
    assert not quiet.evaluated
    for ours, theirs in zip(evaluated.steps, quiet.steps, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(network.get_weights(), quiet_network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_before_the_first_step_the_weights_are_their_own_average() -> None:
    network = build_network(RECIPE.model, size=8, classes=3, seed=0)
    trainee = Trainee(network, RECIPE, steps=1)
    before = network.get_weights()
    callback = EvaluateAverages()
    callback.set_model(trainee)
    callback.on_test_begin()
    seen = network.get_weights()
    callback.on_test_end()
    for expected, *others in zip(
        before, seen, network.get_weights(), weights_to_evaluate(trainee), strict=True
    ):
        for other in others:
            np.testing.assert_array_equal(other, expected)
