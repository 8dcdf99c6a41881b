"""What a report says of classes: their scores, the matrix, and the pairs that are confused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from tenfold.evaluation.collect import PAIRS
from tenfold.evaluation.details import Details, Mistake
from tenfold.evaluation.metrics import Evaluation
from tenfold.evaluation.report.confusion import ROOMY, Row, rows
from tenfold.evaluation.scores import ClassScores, ConfusedPair, class_scores, confused_pairs

_NAMED = 3
"""Classes that are named as the easiest and the hardest."""


@dataclass(frozen=True)
class Pair:
    """A confused pair, with the pictures that are at hand."""

    pair: ConfusedPair
    examples: tuple[Mistake, ...]


@dataclass(frozen=True)
class Overview:
    """What a report says of classes.

    Attributes:
        scores: of each class, in label order.
        macro: precision, recall and F1 as means over the classes that have one.
        easiest: labels by F1, the best first; empty where there are few classes.
        hardest: labels by F1, the worst first.
        confusion: the matrix; None where there are too many classes for one.
        roomy: whether the matrix has room for text of the page's size.
        pairs: the most confused ones.
    """

    scores: tuple[ClassScores, ...]
    macro: tuple[float, float, float]
    easiest: tuple[int, ...]
    hardest: tuple[int, ...]
    confusion: tuple[Row, ...] | None
    roomy: bool
    pairs: tuple[Pair, ...]


def overview(test: Evaluation, details: Details | None) -> Overview:
    """What there is to say; without details the pairs have no pictures."""
    scores = class_scores(test)
    ranked = sorted(
        (label for label, score in enumerate(scores) if math.isfinite(score.f1)),
        key=lambda label: -scores[label].f1,
    )
    few = len(ranked) < 2 * _NAMED
    confused = details.confused if details else ()
    return Overview(
        scores=scores,
        macro=(
            _mean([score.precision for score in scores]),
            _mean([score.recall for score in scores]),
            _mean([score.f1 for score in scores]),
        ),
        easiest=() if few else tuple(ranked[:_NAMED]),
        hardest=() if few else tuple(ranked[: -_NAMED - 1 : -1]),
        confusion=rows(test),
        roomy=len(test.class_names) <= ROOMY,
        pairs=tuple(
            Pair(
                pair,
                tuple(m for m in confused if (m.true, m.predicted) == (pair.true, pair.predicted)),
            )
            for pair in confused_pairs(test, PAIRS)
        ),
    )


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return fmean(finite) if finite else math.nan
