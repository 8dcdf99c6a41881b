"""The losses against their formulae, on what stock Keras says of the same network."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from tenfold.models import build_network
from tenfold.recipe import ModelSection, Recipe, TrainingSection
from tenfold.training.trainee import Trainee

CLASSES = 4
RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.normal(size=(6, 8, 8, 3)).astype(np.float32)
LABELS = np.eye(CLASSES, dtype=np.float32)[RANDOM.integers(0, CLASSES, 6)]


def trainee(**training: Any) -> Trainee:
    model = ModelSection(name="lab-1", dropout=0.0)
    network = build_network(model, size=8, classes=CLASSES, seed=1)
    return Trainee(network, Recipe(model=model, training=TrainingSection(**training)), steps=10)


def softmax(values: NDArray[Any]) -> NDArray[np.float64]:
    powers = np.exp(values.astype(np.float64) - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(targets: NDArray[Any], probabilities: NDArray[Any]) -> float:
    return float(-(targets * np.log(probabilities)).sum(axis=1).mean())


def losses(of: Trainee) -> dict[str, float]:
    return of.evaluate(PICTURES, LABELS, verbose=0, return_dict=True)  # type: ignore[no-any-return]


def test_the_output_is_the_logits_behind_the_networks_probabilities() -> None:
    of = trainee()
    logits = np.asarray(of(PICTURES))
    np.testing.assert_allclose(softmax(logits), of.network(PICTURES), rtol=1e-4, atol=1e-6)
    assert not np.allclose(logits.sum(axis=1), 1)


def test_loss_and_accuracy_are_those_of_the_networks_probabilities() -> None:
    of = trainee()
    probabilities = np.asarray(of.network(PICTURES))
    measured = losses(of)
    assert measured["loss"] == pytest.approx(cross_entropy(LABELS, probabilities), rel=1e-4)
    hits = probabilities.argmax(axis=1) == LABELS.argmax(axis=1)
    assert measured["accuracy"] == pytest.approx(hits.mean())


def test_doubled_softmax_takes_the_softmax_of_probabilities() -> None:
    of = trainee(loss="doubled-softmax")
    probabilities = np.asarray(of.network(PICTURES))
    expected = cross_entropy(LABELS, softmax(probabilities))
    assert losses(of)["loss"] == pytest.approx(expected, rel=1e-4)
    assert expected != pytest.approx(cross_entropy(LABELS, probabilities), rel=0.01)


def test_label_smoothing_shares_a_part_among_all_classes() -> None:
    of = trainee(label_smoothing=0.3)
    targets = 0.7 * LABELS + 0.3 / CLASSES
    expected = cross_entropy(targets, np.asarray(of.network(PICTURES)))
    assert losses(of)["loss"] == pytest.approx(expected, rel=1e-4)


def test_the_loss_stays_finite_where_a_softmax_rounds_to_0() -> None:
    of = trainee()
    kernel = of.network.get_layer("logits").kernel
    kernel.assign(kernel * 1e4)
    assert np.asarray(of.network(PICTURES)).min() == 0
    logits = np.asarray(of(PICTURES), np.float64)
    largest = logits.max(axis=1)
    logarithm = largest + np.log(np.exp(logits - largest[:, np.newaxis]).sum(axis=1))
    expected = (logarithm - (logits * LABELS).sum(axis=1)).mean()
    assert losses(of)["loss"] == pytest.approx(expected, rel=1e-4)


def test_training_moves_the_networks_own_weights() -> None:
    of = trainee()
    assert [id(v) for v in of.weights] == [id(v) for v in of.network.weights]
    before = of.network.get_weights()
    of.train_on_batch(PICTURES, LABELS)
    for old, new in zip(before, of.network.get_weights(), strict=True):
        assert not np.array_equal(old, new)


def test_dropout_acts_in_training_only() -> None:
    model = ModelSection(name="lab-1", dropout=0.9)
    network = build_network(model, size=8, classes=CLASSES, seed=1)
    of = Trainee(network, Recipe(model=model), steps=10)
    quiet = keras.ops.convert_to_numpy(of(PICTURES, training=False))
    np.testing.assert_array_equal(quiet, of(PICTURES, training=False))
    assert not np.allclose(quiet, of(PICTURES, training=True))
