"""Scores and pairs agree with scikit-learn and with counting one by one."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from tenfold.evaluation import Evaluation, evaluate_probabilities
from tenfold.evaluation.scores import class_scores, confused_pairs


def evaluated(labels: np.ndarray, predicted: np.ndarray, classes: int) -> Evaluation:
    names = [str(label) for label in range(classes)]
    return evaluate_probabilities([(labels, np.eye(classes)[predicted])], names)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 80), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_scores_are_those_of_scikit_learn(count: int, classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels, predicted = generator.integers(0, classes, (2, count))
    scores = class_scores(evaluated(labels, predicted, classes))
    expected = precision_recall_fscore_support(
        labels, predicted, labels=range(classes), zero_division=math.nan
    )
    found = [(one.precision, one.recall, one.f1, one.support) for one in scores]
    np.testing.assert_allclose(np.array(found).T, expected)


def test_pictures_without_a_prediction_count_as_not_found() -> None:
    probabilities = np.array([[1.0, 0.0], [np.nan, 0.0]])
    (first, _) = class_scores(evaluate_probabilities([(np.array([0, 0]), probabilities)], "ab"))
    assert (first.precision, first.recall, first.f1) == (1.0, 0.5, pytest.approx(2 / 3))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 80), st.integers(2, 9), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_pairs_are_those_that_counting_finds(
    count: int, classes: int, most: int, seed: int
) -> None:
    labels, predicted = np.random.default_rng(seed).integers(0, classes, (2, count))
    wrong = Counter(
        (int(label), int(guess))
        for label, guess in zip(labels, predicted, strict=True)
        if label != guess
    )
    expected = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:most]
    pairs = confused_pairs(evaluated(labels, predicted, classes), most)
    assert [((pair.true, pair.predicted), pair.count) for pair in pairs] == expected
    for pair in pairs:
        assert pair.share == pair.count / (labels == pair.true).sum()
