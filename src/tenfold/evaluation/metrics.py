"""How well a model does on pictures it never trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, TypeAdapter

# Keras bounds probabilities so in its own cross-entropy; the same bound makes losses comparable.
_SMALLEST_PROBABILITY = 1e-7

_NumberOrNull = Annotated[
    float, BeforeValidator(lambda value: math.nan if value is None else value)
]


@dataclass(frozen=True)
class Evaluation:
    """Counts and loss over one split.

    A picture whose probabilities are not all finite has no prediction. It counts as wrong, is
    missing from the confusion matrix, and makes the loss NaN.

    Attributes:
        class_names: the classes, in label order.
        class_counts: pictures of each class.
        confusion: pictures by true class (row) and predicted class (column).
        loss: mean cross-entropy of the true class in nats; probabilities below 1e-7 count as 1e-7.
    """

    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    confusion: tuple[tuple[int, ...], ...]
    loss: _NumberOrNull

    def __post_init__(self) -> None:
        """Refuse counts that contradict each other.

        Raises:
            ValueError: the shapes differ, a number is negative, or there are no pictures.
        """
        classes = len(self.class_names)
        shapes = {len(self.class_counts), len(self.confusion), *map(len, self.confusion)}
        if shapes != {classes}:
            raise ValueError(f"expected counts for {classes} classes. Received sizes: {shapes}")
        if any(number < 0 for row in self.confusion for number in row):
            raise ValueError("the confusion matrix holds a negative count")
        if any(
            sum(row) > count for row, count in zip(self.confusion, self.class_counts, strict=True)
        ):
            raise ValueError("the confusion matrix counts more pictures than a class has")
        if self.count == 0:
            raise ValueError("an evaluation needs at least one picture")

    @property
    def count(self) -> int:
        """Pictures in all."""
        return sum(self.class_counts)

    @property
    def correct(self) -> int:
        """Pictures whose most probable class is the true one."""
        return sum(row[label] for label, row in enumerate(self.confusion))

    @property
    def not_finite(self) -> int:
        """Pictures without a prediction, because a probability was NaN or infinite."""
        return self.count - sum(map(sum, self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of pictures that are correct."""
        return self.correct / self.count

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the accuracy: what another test set of this size may give."""
        from scipy.stats import binomtest

        bounds = binomtest(self.correct, self.count).proportion_ci(0.95, method="wilson")
        return float(bounds.low), float(bounds.high)

    @property
    def class_accuracy(self) -> tuple[float, ...]:
        """Share of correct pictures by class, in label order; NaN for a class without pictures."""
        return tuple(
            self.confusion[label][label] / count if count else math.nan
            for label, count in enumerate(self.class_counts)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, the derived ones included; `tenfold.files.to_json` turns NaN into null."""
        return {
            "accuracy": self.accuracy,
            "interval": self.interval,
            "correct": self.correct,
            "count": self.count,
            "not_finite": self.not_finite,
            "class_accuracy": self.class_accuracy,
            **asdict(self),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Evaluation:
        """Rebuild what `to_json` gave.

        Raises:
            ValueError: something is missing, of the wrong type, or contradictory.
        """
        return _ADAPTER.validate_python(value)


_ADAPTER = TypeAdapter(Evaluation)


def evaluate_probabilities(
    batches: Iterable[tuple[NDArray[np.integer[Any]], NDArray[np.floating[Any]]]],
    class_names: Sequence[str],
) -> Evaluation:
    """Evaluate predictions as they come; memory does not grow with their number.

    Args:
        batches: pairs of labels, integers of shape (B,), and probabilities of shape (B, C), both
            in label order.
        class_names: the C classes.

    Raises:
        ValueError: a batch has another shape, a label is out of range, or there are no pictures.
    """
    from sklearn.metrics import confusion_matrix

    classes = np.arange(len(class_names))
    counts = np.zeros(len(classes), np.int64)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    loss = 0.0
    for labels, probabilities in batches:
        if probabilities.shape != (len(labels), len(classes)):
            raise ValueError(
                f"expected probabilities of shape ({len(labels)}, {len(classes)}). "
                f"Received: {probabilities.shape}"
            )
        if len(labels) == 0:
            continue
        if not np.isin(labels, classes).all():
            raise ValueError(f"labels must lie in [0, {len(classes)}). Received: {labels!r}")
        counts += np.bincount(labels, minlength=len(classes))
        predicted = np.isfinite(probabilities).all(axis=1)
        if predicted.any():
            confusion += confusion_matrix(
                labels[predicted], probabilities[predicted].argmax(axis=1), labels=classes
            )
        loss += _summed_loss(labels, probabilities) if predicted.all() else math.nan
    total = int(counts.sum())
    return Evaluation(
        class_names=tuple(class_names),
        class_counts=tuple(counts.tolist()),
        confusion=tuple(map(tuple, confusion.tolist())),
        loss=loss / total if total else math.nan,
    )


def _summed_loss(
    labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]]
) -> float:
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(of_truth, _SMALLEST_PROBABILITY, 1.0)).sum())
