"""The calibration error is what its definition says, computed by hand and by a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from tenfold.evaluation.reliability import (
    Reliability,
    at_temperature,
    expected_calibration_error,
)


def predictions(count: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    return labels, generator.dirichlet(np.full(classes, 0.3), count).astype(np.float32)


def counted(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> Reliability:
    return Reliability((0,) * bins, (0,) * bins, (0.0,) * bins).added(labels, probabilities)


def by_a_plain_loop(labels: np.ndarray, probabilities: np.ndarray, bins: int) -> float:
    error = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = [
            (float(row.max()), int(row.argmax()) == label)
            for label, row in zip(labels, probabilities, strict=True)
            if low < float(row.max()) <= high
        ]
        if inside:
            confidence = sum(one for one, _ in inside) / len(inside)
            accuracy = sum(hit for _, hit in inside) / len(inside)
            error += len(inside) / len(labels) * abs(accuracy - confidence)
    return error


def test_four_pictures_by_hand() -> None:
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.95, 0.05], [0.95, 0.05], [0.4, 0.6]])
    # Two bins of (0, 0.5] and (0.5, 1]: all four in the second, 3 right, confidences of 3.4.
    assert expected_calibration_error(counted(labels, probabilities, 2)) == pytest.approx(0.4 / 4)
    # Ten bins: 0.9 lies in (0.8, 0.9], twice 0.95 in (0.9, 1], 0.6 in (0.5, 0.6].
    by_hand = (abs(1 - 0.9) + abs(1 - 1.9) + abs(1 - 0.6)) / 4
    assert expected_calibration_error(counted(labels, probabilities, 10)) == pytest.approx(by_hand)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 120), st.integers(2, 9), st.integers(1, 40), st.integers(1, 20),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_batches_of_any_size_give_what_a_plain_loop_gives(
    count: int, classes: int, size: int, bins: int, seed: int
) -> None:
    labels, probabilities = predictions(count, classes, seed)
    found = Reliability((0,) * bins, (0,) * bins, (0.0,) * bins)
    for start in range(0, count, size):
        found = found.added(labels[start : start + size], probabilities[start : start + size])
    assert found.count == count
    assert found.accuracy == pytest.approx((probabilities.argmax(axis=1) == labels).mean())
    assert found.mean_confidence == pytest.approx(probabilities.max(axis=1).mean(), rel=1e-6)
    assert expected_calibration_error(found) == pytest.approx(
        by_a_plain_loop(labels, probabilities, bins)
    )


def test_a_model_that_is_always_sure_and_right_has_no_error() -> None:
    # float32 can round a sum up to more than 1.
    sure = np.array([[1.0000001, 0.0], [0.0, 1.0]], np.float32)
    assert expected_calibration_error(counted(np.array([0, 1]), sure)) == 0.0
    assert expected_calibration_error(counted(np.array([1, 0]), sure)) == 1.0


def test_predictions_that_are_not_finite_are_in_no_bin() -> None:
    assert counted(np.array([0, 1]), np.array([[np.nan, 0.9], [0.2, 0.8]])).count == 1
    assert math.isnan(expected_calibration_error(counted(np.array([0]), np.full((1, 2), np.nan))))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_temperature_divides_the_logits(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 6))
    np.testing.assert_allclose(
        at_temperature(softmax(logits, axis=1), temperature),
        softmax(logits / temperature, axis=1),
        rtol=1e-10,
    )


def test_a_probability_of_0_stays_finite_at_any_temperature() -> None:
    scaled = at_temperature(np.array([[1.0, 0.0]], np.float32), 3.0)
    assert np.isfinite(scaled).all()
    assert scaled[0, 0] > 0.99


@pytest.mark.parametrize(
    "bins",
    [
        ((1, 1), (1,), (0.5,)),
        ((), (), ()),
        ((1,), (2,), (0.5,)),
        ((1,), (-1,), (0.5,)),
        ((1,), (1,), (1.5,)),
        ((1,), (1,), (math.nan,)),
    ],
)
def test_bins_that_contradict_each_other_are_refused(
    bins: tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]],
) -> None:
    with pytest.raises(ValueError, match=r"reliability|bin"):
        Reliability(*bins)
