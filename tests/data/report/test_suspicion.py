"""Suspicious labels: what a loop over the pictures finds, the surest first."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tenfold.data.report.suspicion import Suspects, suspects


def plain(labels: NDArray[np.int32], shares: NDArray[np.float32]) -> list[int]:
    """Positions by the rule, picture by picture."""
    classes = shares.shape[1]
    usual = [
        np.mean([row[c] for row, label in zip(shares, labels, strict=True) if label == c])
        if c in labels
        else np.inf
        for c in range(classes)
    ]
    found = []
    for at, (row, label) in enumerate(zip(shares, labels, strict=True)):
        rival = max((c for c in range(classes) if c != label), key=lambda c: (row[c], -c))
        if row[rival] > row[label] and row[rival] >= usual[rival] - 1e-9:
            found.append((row[label] - row[rival], at))
    return [at for _, at in sorted(found)]


def run(labels: NDArray[np.int32], shares: NDArray[np.float32], batch: int) -> Suspects:
    parts = ((labels[a : a + batch], shares[a : a + batch]) for a in range(0, len(labels), batch))
    return suspects("test", 100 + np.arange(len(labels)), parts, shares.shape[1], seen=False)


@given(
    count=st.integers(1, 60),
    classes=st.integers(2, 5),
    batch=st.sampled_from([1, 7, 100]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=100, deadline=None)
def test_they_are_those_that_a_loop_finds(count: int, classes: int, batch: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count).astype(np.int32)
    shares = rng.dirichlet(np.full(classes, 0.3), count).astype(np.float32)
    found = run(labels, shares, batch)
    expected = plain(labels, shares.astype(np.float64).astype(np.float32))
    assert sorted(found.positions - 100) == sorted(expected)
    margins = found.label_confidence - found.confidence
    assert np.all(np.diff(margins) >= 0)
    for at, position in enumerate(found.positions - 100):
        assert found.labels[at] == labels[position]
        assert found.predicted[at] != labels[position]
        assert found.confidence[at] == shares[position, found.predicted[at]]


def test_wrong_labels_are_found_and_unsure_pictures_are_not() -> None:
    labels = np.repeat(np.arange(3), 20).astype(np.int32)
    shares = np.full((60, 3), 0.04, np.float32)
    shares[np.arange(60), labels] = 0.92
    shares[5] = 0.02, 0.97, 0.01  # sure that it is another
    shares[25] = 0.01, 0.04, 0.95
    shares[45] = 0.55, 0.05, 0.40  # another is likelier, but the model is usually surer
    found = run(labels, shares, 16)
    assert (found.positions - 100).tolist() == [5, 25]
    assert found.predicted.tolist() == [1, 2]
    assert (len(found), found.pictures) == (2, 60)


def test_a_class_that_no_picture_bears_accuses_nobody() -> None:
    labels = np.zeros(10, np.int32)
    shares = np.tile(np.float32([0.1, 0.9]), (10, 1))
    assert len(run(labels, shares, 4)) == 0


def test_probabilities_that_are_no_numbers_accuse_nobody() -> None:
    labels = np.repeat(np.arange(2), 10).astype(np.int32)
    shares = np.tile(np.float32([0.9, 0.1]), (20, 1))
    shares[10:] = 0.1, 0.9
    shares[3] = np.nan
    shares[4] = 0.0, 1.0
    with np.errstate(all="raise"):
        assert (run(labels, shares, 8).positions - 100).tolist() == [4]


def test_an_empty_split_has_none() -> None:
    found = suspects("validation", np.arange(0), iter(()), 3, seen=False)
    assert (len(found), found.pictures) == (0, 0)
