"""A confusion matrix as the cells of a table whose colours are seen from afar."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tenfold.evaluation.metrics import Evaluation

MOST_CLASSES = 100
"""A table of more would be neither readable nor quick to show."""

ROOMY = 30
"""Up to so many classes, cells are as large as text is."""

_LEVELS = 10


@dataclass(frozen=True, slots=True)
class Cell:
    """Pictures of one class that were taken for one class.

    Attributes:
        count: how many.
        style: the class that gives the cell its colour: ``h1`` to ``h10`` for hits, ``m1`` to
            ``m10`` for mistakes, by their share of the true class; empty for none.
        share: that share.
        predicted: the label.
    """

    count: int
    style: str
    share: float
    predicted: int


@dataclass(frozen=True, slots=True)
class Row:
    """Pictures of one class, ``total`` of them."""

    true: int
    total: int
    cells: tuple[Cell, ...]


def rows(evaluation: Evaluation) -> tuple[Row, ...] | None:
    """The table's rows, in label order; None where there are too many classes for a table."""
    if len(evaluation.class_names) > MOST_CLASSES:
        return None
    return tuple(
        Row(
            label,
            total,
            tuple(
                Cell(count, _style(count, total, label == column), count / max(1, total), column)
                for column, count in enumerate(counts)
            ),
        )
        for label, (counts, total) in enumerate(
            zip(evaluation.confusion, evaluation.class_counts, strict=True)
        )
    )


def _style(count: int, total: int, hit: bool) -> str:
    """The square root makes the few per cent of a common mistake stand out from none."""
    if not count:
        return ""
    return f"{'h' if hit else 'm'}{math.ceil(_LEVELS * math.sqrt(count / total))}"
