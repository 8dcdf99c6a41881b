"""Whether a model's confidence can be believed: reliability bins and the calibration error.

Of the pictures that a model is 80% sure of, 80% should be right. Pictures are put into bins by the
confidence of their prediction; in each, the share of hits is held against the mean confidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""As in the paper that made the expected calibration error common."""


@dataclass(frozen=True)
class Reliability:
    """Pictures by the confidence of their prediction, in bins of equal width.

    Bin ``m`` of ``M``, counted from 1, holds confidences in ``((m - 1) / M, m / M]``, as in Guo,
    Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.

    Attributes:
        counts: pictures in each bin.
        correct: those of them whose prediction is right.
        confidence: sum of their confidences.
    """

    counts: tuple[int, ...] = (0,) * BINS
    correct: tuple[int, ...] = (0,) * BINS
    confidence: tuple[float, ...] = (0.0,) * BINS

    def __post_init__(self) -> None:
        """Refuse bins that contradict each other.

        Raises:
            ValueError: the lengths differ, there are no bins, more are correct than there are, or
                a sum of confidences is not one of so many.
        """
        if not len(self.counts) == len(self.correct) == len(self.confidence) > 0:
            raise ValueError("a reliability needs as many counts, hits and confidences, at least 1")
        for count, correct, confidence in zip(
            self.counts, self.correct, self.confidence, strict=True
        ):
            if not 0 <= correct <= count or not 0.0 <= confidence <= count * (1 + 1e-9):
                raise ValueError(
                    f"a bin of {count} pictures cannot have {correct} hits and {confidence:g} in "
                    "confidences"
                )

    @property
    def count(self) -> int:
        """Pictures in all."""
        return sum(self.counts)

    @property
    def accuracy(self) -> float:
        """Share of hits; NaN without pictures."""
        return sum(self.correct) / self.count if self.count else math.nan

    @property
    def mean_confidence(self) -> float:
        """Mean confidence over all pictures; NaN without any."""
        return math.fsum(self.confidence) / self.count if self.count else math.nan

    def added(
        self, labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]]
    ) -> Reliability:
        """These bins with a batch more.

        A picture whose probabilities are not all finite has no prediction, and is in no bin.

        Args:
            labels: integers (B,).
            probabilities: (B, C), in label order.
        """
        known = np.isfinite(probabilities).all(axis=1)
        labels, probabilities = labels[known], probabilities[known]
        # In float64, where the bins' edges are as exact as they get; rounding can pass 1.
        largest = probabilities.max(axis=1, initial=0.0).astype(np.float64)
        confidence = np.minimum(largest, 1.0)
        hits = probabilities.argmax(axis=1) == labels
        bins = len(self.counts)
        where = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
        counts = np.bincount(where, minlength=bins)
        correct = np.bincount(where[hits], minlength=bins)
        sums = np.bincount(where, weights=confidence, minlength=bins)
        return Reliability(
            counts=tuple((self.counts + counts).tolist()),
            correct=tuple((self.correct + correct).tolist()),
            confidence=tuple((self.confidence + sums).tolist()),
        )


def expected_calibration_error(reliability: Reliability) -> float:
    """By how much confidence misses accuracy, averaged over all pictures: the ECE.

    ``sum over bins of (n_b / n) * |hits_b / n_b - confidence_b / n_b|`` (Naeini, Cooper and
    Hauskrecht, AAAI 2015).

    Returns:
        From 0, which is honest, to 1; NaN where there are no pictures.
    """
    if not reliability.count:
        return math.nan
    gaps = (
        abs(correct - confidence)
        for correct, confidence in zip(reliability.correct, reliability.confidence, strict=True)
    )
    return math.fsum(gaps) / reliability.count


def at_temperature(
    probabilities: NDArray[np.floating[Any]], temperature: float
) -> NDArray[np.float64]:
    """What a softmax gives whose logits are divided by a temperature, from what it gave.

    ``softmax(log(p) / T)``: the logits themselves are not needed, because a softmax does not see
    what is added to all of them. A temperature above 1 makes a model less sure; the order of the
    classes stays as it is.

    Args:
        probabilities: (N, C), each row summing to 1.
        temperature: above 0.
    """
    smallest = np.finfo(np.float64).tiny  # log(0) is no number that could be divided
    logits = np.log(np.maximum(probabilities.astype(np.float64), smallest)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return scaled
