"""Finding the details of an evaluation while its predictions pass by, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.evaluation.details import Details, Mistake
from tenfold.evaluation.metrics import Evaluation
from tenfold.evaluation.reliability import Reliability, at_temperature
from tenfold.evaluation.scores import confused_pairs

MISTAKES = 24
"""The most confident mistakes that are kept."""

PAIRS, EXAMPLES = 10, 6
"""The most confused pairs, and examples of each."""

_CAPACITY = 65_536
"""Mistakes that are remembered, without pixels, until all have passed: 20 bytes each."""

Batch = tuple[NDArray[np.integer[Any]], NDArray[np.floating[Any]]]

_MISTAKE = np.dtype([("position", "i8"), ("true", "i4"), ("predicted", "i4"), ("confidence", "f4")])


class DetailCollector:
    """Watches the predictions of an evaluation.

    Example::

        collector = DetailCollector()
        evaluation = evaluate_probabilities(collector.watch(batches), class_names)
        details = collector.details(evaluation)

    Args:
        temperature: what the logits were divided by for the probabilities that are watched; their
            reliability without it is then found too. 1: by nothing.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        self._temperature = temperature
        self._reliability, self._uncalibrated = Reliability(), Reliability()
        self._seen = 0
        self._mistakes = np.empty(0, _MISTAKE)

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Hand on what `evaluate_probabilities` takes, and note what passes."""
        for labels, probabilities in batches:
            self._note(labels, probabilities)
            yield labels, probabilities

    def details(self, evaluation: Evaluation) -> Details:
        """What was seen; ``evaluation`` is of the same predictions."""
        mistakes = self._mistakes[_by_confidence(self._mistakes)]
        confused: list[Mistake] = []
        for pair in confused_pairs(evaluation, PAIRS):
            of_pair = (mistakes["true"] == pair.true) & (mistakes["predicted"] == pair.predicted)
            confused += _as_mistakes(mistakes[of_pair][:EXAMPLES])
        return Details(
            reliability=self._reliability,
            mistakes=tuple(_as_mistakes(mistakes[:MISTAKES])),
            confused=tuple(confused),
            temperature=self._temperature,
            uncalibrated=None if self._temperature == 1.0 else self._uncalibrated,
        )

    def _note(
        self, labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]]
    ) -> None:
        first, self._seen = self._seen, self._seen + len(labels)
        known = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
        labels, probabilities = labels[known], probabilities[known]
        self._reliability = self._reliability.added(labels, probabilities)
        if self._temperature != 1.0:
            plain = at_temperature(probabilities, 1 / self._temperature)
            self._uncalibrated = self._uncalibrated.added(labels, plain)
        predicted = probabilities.argmax(axis=1)
        wrong = np.flatnonzero(predicted != labels)
        new = np.empty(len(wrong), _MISTAKE)
        new["position"] = first + known[wrong]
        new["true"], new["predicted"] = labels[wrong], predicted[wrong]
        new["confidence"] = np.minimum(probabilities[wrong, predicted[wrong]], 1.0)
        self._mistakes = np.concatenate([self._mistakes, new])
        if len(self._mistakes) > 2 * _CAPACITY:
            self._mistakes = self._mistakes[_by_confidence(self._mistakes)[:_CAPACITY]]


def _by_confidence(mistakes: NDArray[Any]) -> NDArray[np.int64]:
    """Where the surest ones are; equals in the order of their pictures."""
    return np.lexsort((mistakes["position"], -mistakes["confidence"]))


def _as_mistakes(found: NDArray[Any]) -> list[Mistake]:
    return [Mistake(*values) for values in found.tolist()]
