"""Streaming metrics agree with scikit-learn and SciPy on all predictions at once."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

from tenfold.evaluation import Evaluation, evaluate_probabilities
from tenfold.files import to_json

Batch = tuple[np.ndarray, np.ndarray]


def predictions(count: int, classes: int, seed: int) -> Batch:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    return labels, generator.dirichlet(np.full(classes, 0.5), count).astype(np.float32)


def in_batches(labels: np.ndarray, probabilities: np.ndarray, size: int) -> Iterator[Batch]:
    for start in range(0, len(labels), size):
        yield labels[start : start + size], probabilities[start : start + size]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 200), st.integers(2, 12), st.integers(1, 64), st.integers(0, 2**32 - 1)
)  # fmt: skip
def test_batches_of_any_size_give_what_scikit_learn_gives_at_once(
    count: int, classes: int, size: int, seed: int
) -> None:
    labels, probabilities = predictions(count, classes, seed)
    names = [f"class {number}" for number in range(classes)]
    found = evaluate_probabilities(in_batches(labels, probabilities, size), names)
    predicted = probabilities.argmax(axis=1)
    everything = list(range(classes))
    assert found.count == count
    assert found.accuracy == pytest.approx(accuracy_score(labels, predicted))
    np.testing.assert_array_equal(
        found.confusion, confusion_matrix(labels, predicted, labels=everything)
    )
    recall = recall_score(
        labels, predicted, labels=everything, average=None, zero_division=math.nan
    )
    np.testing.assert_allclose(found.class_accuracy, recall)
    one_by_one = [
        -math.log(max(row[label], 1e-7)) for label, row in zip(labels, probabilities, strict=True)
    ]
    assert found.loss == pytest.approx(np.mean(one_by_one), rel=1e-9)


def test_the_interval_is_wilsons() -> None:
    """Its bounds are the shares whose score test just fails to reject what was seen."""
    seen = Evaluation(("no", "yes"), (100, 0), ((77, 23), (0, 0)), 0.5)
    z = 1.959963984540054

    def score(share: float) -> float:
        return (0.77 - share) ** 2 - z**2 * share * (1 - share) / 100

    expected = brentq(score, 0.01, 0.77), brentq(score, 0.77, 0.99)
    assert seen.interval == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("correct", [0, 1])
def test_the_interval_of_one_picture_stays_within_bounds(correct: int) -> None:
    one = Evaluation(("a", "b"), (1, 0), ((correct, 1 - correct), (0, 0)), 0.5)
    low, high = one.interval
    assert 0.0 <= low < high <= 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_predictions_that_are_not_finite_are_wrong_and_told_of(value: float) -> None:
    labels = np.array([0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [value, 0.8], [0.3, 0.7]], np.float32)
    found = evaluate_probabilities([(labels, probabilities)], ["a", "b"])
    assert (found.count, found.correct, found.not_finite) == (3, 2, 1)
    assert found.class_counts == (1, 2)
    assert found.class_accuracy == (1.0, 0.5)
    assert math.isnan(found.loss)


def test_a_model_of_nothing_but_nan_has_accuracy_0() -> None:
    found = evaluate_probabilities([(np.array([0, 1]), np.full((2, 2), np.nan))], ["a", "b"])
    assert (found.accuracy, found.not_finite) == (0.0, 2)


def test_a_probability_of_0_costs_what_keras_lets_it_cost() -> None:
    found = evaluate_probabilities([(np.array([0]), np.array([[0.0, 1.0]]))], ["a", "b"])
    assert found.loss == pytest.approx(-math.log(1e-7))


def test_memory_does_not_grow_with_the_number_of_pictures() -> None:
    batch = predictions(100, 10, 0)
    peaks = []
    for batches in (10, 10, 110):  # the first pays for imports
        tracemalloc.start()
        evaluate_probabilities((batch for _ in range(batches)), list("abcdefghij"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] + 20_000  # one int64 a picture would be 80,000


@pytest.mark.parametrize("loss", [0.7, math.nan])
def test_json_brings_it_back(loss: float) -> None:
    before = Evaluation(("a", "b"), (2, 0), ((1, 1), (0, 0)), loss)
    plain: dict[str, Any] = json.loads(to_json(before.to_json()))
    assert plain["accuracy"] == 0.5
    assert plain["interval"] == pytest.approx(before.interval)
    assert plain["class_accuracy"] == [0.5, None]
    after = Evaluation.from_json(plain)
    assert repr(after) == repr(before)  # NaN is not equal to itself


@pytest.mark.parametrize(
    "change",
    [
        {"confusion": [[1, 1]]},
        {"confusion": [[1], [1]]},
        {"confusion": [[2, 1], [0, 0]]},
        {"confusion": [[-1, 1], [0, 0]]},
        {"class_counts": [2]},
        {"class_counts": [0, 0], "confusion": [[0, 0], [0, 0]]},
        {"loss": "high"},
    ],
)
def test_counts_that_contradict_each_other_are_refused(change: dict[str, Any]) -> None:
    plain = Evaluation(("a", "b"), (2, 0), ((1, 1), (0, 0)), 0.5).to_json()
    with pytest.raises(ValueError, match=next(iter(change)) + r"|confusion|classes|picture"):
        Evaluation.from_json(plain | change)


def test_batches_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected probabilities of shape \(2, 3\)"):
        evaluate_probabilities([(np.array([0, 1]), np.ones((2, 2)))], list("abc"))
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\)"):
        evaluate_probabilities([(np.array([2]), np.ones((1, 2)))], list("ab"))
    with pytest.raises(ValueError, match="at least one picture"):
        evaluate_probabilities([], list("ab"))
