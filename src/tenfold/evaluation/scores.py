"""What a confusion matrix says of each class, and of each pair of classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tenfold.evaluation.metrics import Evaluation


@dataclass(frozen=True, slots=True)
class ClassScores:
    """How one class fared; NaN where there is nothing to take a share of.

    Attributes:
        support: pictures of the class.
        predicted: pictures that were taken for it.
        precision: share of those taken for it that are of it.
        recall: share of its pictures that were found.
        f1: harmonic mean of both, ``2 hits / (support + predicted)``.
    """

    support: int
    predicted: int
    precision: float
    recall: float
    f1: float


def class_scores(evaluation: Evaluation) -> tuple[ClassScores, ...]:
    """The scores of each class, in label order."""
    confusion = np.array(evaluation.confusion)
    predictions = confusion.sum(axis=0).tolist()
    hits = confusion.diagonal().tolist()
    return tuple(
        ClassScores(
            support=support,
            predicted=predicted,
            precision=_share(hit, predicted),
            recall=_share(hit, support),
            f1=_share(2 * hit, support + predicted),
        )
        for hit, support, predicted in zip(hits, evaluation.class_counts, predictions, strict=True)
    )


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Pictures of one class that were taken for another.

    Attributes:
        true: the label of their class.
        predicted: the label of the other.
        count: how many.
        share: of all pictures of their class.
    """

    true: int
    predicted: int
    count: int
    share: float


def confused_pairs(evaluation: Evaluation, most: int) -> tuple[ConfusedPair, ...]:
    """The pairs with the most pictures, at most so many; equals in label order."""
    errors = np.array(evaluation.confusion)
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:most]
    pairs = zip(*(index.tolist() for index in np.unravel_index(order, errors.shape)), strict=True)
    return tuple(
        ConfusedPair(true, predicted, int(count), count / evaluation.class_counts[true])
        for true, predicted in pairs
        if (count := errors[true, predicted]) > 0
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
