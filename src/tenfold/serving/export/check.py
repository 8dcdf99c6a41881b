"""An export beside the Keras model, picture by picture: does it answer the same, and how fast?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From pixels, uint8 (N, size, size, 3), to probabilities, float32 (N, classes)."""
Batches = Iterable[tuple[NDArray[np.uint8], NDArray[np.int32] | None]]
"""Pixels, and their classes where these are known."""

TOLERANCE = 1e-4
"""The most by which a probability of a float32 export may differ."""
_ROUNDING = 1e-6
"""The same as a share of the largest logit, where that is more: float32 has seven digits, and a
network whose logits go into the hundreds, as some that failed do, loses them in the softmax."""

_SINGLES, _SECONDS = 100, 1.0
"""The most single pictures that the latency is measured on, and the most time for it."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one of the two did.

    Attributes:
        accuracy: share of the pictures that it got right; None where their classes are not known.
        latency: seconds for one picture alone, the median.
        pictures_per_second: in batches.
        bytes: of its file or folder.
    """

    accuracy: float | None
    latency: float
    pictures_per_second: float
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Check:
    """An export beside the Keras model.

    Attributes:
        pictures: how many both were asked about.
        keras: the Keras model's answers, computed in float32.
        export: the export's.
        largest_difference: between two probabilities of the same class of the same picture.
        tolerance: the most that it may be in an export that computes in float32.
        same_class: on how many pictures both find the same class most probable.
        reason: why these are not the pictures of the run's test split; None where they are.
    """

    pictures: int
    keras: Answers
    export: Answers
    largest_difference: float
    tolerance: float
    same_class: int
    reason: str | None = None

    @property
    def points_lost(self) -> float | None:
        """By how many percentage points the export is less accurate; None where not known."""
        if self.keras.accuracy is None or self.export.accuracy is None:
            return None
        # Of whole pictures in a hundred: the rest is the rounding of a subtraction.
        return round(100 * (self.keras.accuracy - self.export.accuracy), 9)

    def to_json(self) -> dict[str, Any]:
        """Plain values, the derived one included."""
        return {**asdict(self), "points_lost": self.points_lost}


def compare(
    logits: Predict,
    temperature: float,
    export: Predict,
    batches: Batches,
    *,
    sizes: tuple[int, int],
    reason: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Check:
    """Ask both about the same pictures; memory does not grow with their number.

    Args:
        logits: the Keras model's, computed in float32.
        temperature: what they are divided by before the softmax.
        export: the exported model's probabilities.
        batches: the pictures, at least one.
        sizes: bytes of the Keras model's file, and of the export.
        reason: see `Check`.
        progress: told how many pictures are done.
    """
    difference, largest_logit, same, pictures = 0.0, 0.0, 0, 0
    known, right = True, np.zeros(2, np.int64)
    seconds = np.zeros(2)
    latencies: tuple[float, float] | None = None
    for pixels, labels in batches:
        if latencies is None:
            # Before anything else, which also makes both ready: the first call does more.
            latencies = _latency(logits, pixels), _latency(export, pixels)
            logits(pixels), export(pixels)
        began = time.perf_counter()
        values = logits(pixels)
        between = time.perf_counter()
        found = export(pixels)
        seconds += between - began, time.perf_counter() - between
        expected = softmax(values, temperature)
        difference = max(difference, _largest_difference(expected, found))
        largest_logit = max(largest_logit, float(np.abs(values).max(initial=0.0)) / temperature)
        chosen = expected.argmax(axis=1), found.argmax(axis=1)
        same += int((chosen[0] == chosen[1]).sum())
        pictures += len(pixels)
        if labels is None:
            known = False
        else:
            right += [int((classes == labels).sum()) for classes in chosen]
        if progress is not None:
            progress(pictures)
    if latencies is None:
        raise ValueError("there are no pictures to compare on")
    answers = [
        Answers(
            accuracy=float(right[i] / pictures) if known else None,
            latency=latencies[i],
            pictures_per_second=float(pictures / seconds[i]),
            bytes=sizes[i],
        )
        for i in (0, 1)
    ]
    return Check(
        pictures=pictures,
        keras=answers[0],
        export=answers[1],
        largest_difference=difference,
        tolerance=max(TOLERANCE, _ROUNDING * largest_logit),
        same_class=same,
        reason=reason,
    )


def softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Probabilities, float64 (N, classes), of logits of the same shape."""
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def _largest_difference(expected: NDArray[np.float64], found: NDArray[np.float32]) -> float:
    """NaN equals NaN, and is infinitely far from every number."""
    if expected.shape != found.shape:
        raise ValueError(f"expected shape {expected.shape}. Received: {found.shape}")
    difference = np.abs(expected - found)
    difference[np.isnan(expected) & np.isnan(found)] = 0
    return float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0))


def _latency(predict: Predict, pixels: NDArray[np.uint8]) -> float:
    """Seconds for one picture, the median of several calls."""
    single = np.ascontiguousarray(pixels[:1])
    for _ in range(3):
        predict(single)
    times: list[float] = []
    while len(times) < 5 or (len(times) < _SINGLES and sum(times) < _SECONDS):
        began = time.perf_counter()
        predict(single)
        times.append(time.perf_counter() - began)
    return statistics.median(times)
