"""Labels that a trained model contradicts with good reason: confident learning, the light way.

For each class the threshold is how sure the model is of it on the pictures that bear its label, on
average. A picture is suspicious where the model is surer of another class than of the label, and at
least as sure as it usually is of that class (Northcutt, Jiang and Chuang, "Confident learning:
estimating uncertainty in dataset labels", 2021). The surest contradictions come first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Suspects:
    """The suspicious labels of one split, the surest contradiction first.

    Attributes:
        split: ``train``, ``validation`` or ``test``.
        seen: whether the model was trained on these pictures: it then knows many wrong labels by
            heart, and contradicts few of them.
        pictures: how many were looked at.
        positions: int64 (n,), of the suspicious ones in the store.
        labels: int32 (n,), what they are labelled, by position in the class names.
        predicted: int32 (n,), what the model takes them for.
        confidence: float32 (n,), its probability of that.
        label_confidence: float32 (n,), its probability of the label.
    """

    split: str
    seen: bool
    pictures: int
    positions: NDArray[np.int64]
    labels: NDArray[np.int32]
    predicted: NDArray[np.int32]
    confidence: NDArray[np.float32]
    label_confidence: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class Suspicion:
    """What a run's model holds against the labels of a source.

    Attributes:
        run: the run, as the user named it.
        calibrated: whether its probabilities were calibrated.
        splits: one for each split that has pictures.
    """

    run: str
    calibrated: bool
    splits: tuple[Suspects, ...]


def suspects(
    split: str,
    positions: NDArray[np.int64],
    predictions: Iterable[tuple[NDArray[np.int32], NDArray[np.float32]]],
    classes: int,
    *,
    seen: bool,
) -> Suspects:
    """Find the suspicious labels of a split; sixteen bytes of memory a picture.

    Args:
        split: its name.
        positions: int64 (n,), its pictures in the store.
        predictions: labels, int32 (m,), and probabilities, float32 (m, classes), batch by batch in
            the order of ``positions``.
        classes: how many there are.
        seen: whether the model was trained on these pictures.
    """
    sums, counts = np.zeros(classes), np.zeros(classes, np.int64)
    label, other = np.zeros((2, len(positions)), np.int32)
    own, rival = np.zeros((2, len(positions)), np.float32)
    start = 0
    for batch, given in predictions:
        probabilities = np.nan_to_num(given, nan=0.0)
        rows, here = np.arange(len(batch)), slice(start, start + len(batch))
        label[here], own[here] = batch, probabilities[rows, batch]
        sums += np.bincount(batch, own[here], classes)
        counts += np.bincount(batch, minlength=classes)
        probabilities[rows, batch] = -1
        other[here] = probabilities.argmax(axis=1)
        rival[here] = probabilities[rows, other[here]]
        start += len(batch)
    # Of a class without pictures nobody knows how sure the model should be.
    usual = np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)
    found = np.flatnonzero((rival > own) & (rival >= usual[other]))
    found = found[np.lexsort((found, own[found] - rival[found]))]
    return Suspects(
        split=split,
        seen=seen,
        pictures=len(label),
        positions=positions[found],
        labels=label[found],
        predicted=other[found],
        confidence=rival[found],
        label_confidence=own[found],
    )
