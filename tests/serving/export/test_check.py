"""The comparison by hand, on answers that are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tenfold.serving.export.check import Check, compare

LOGITS = np.log(np.array([[8, 1, 1], [1, 8, 1], [3, 1, 6], [2, 2, 6]], np.float32) / 10)
LABELS = np.array([0, 1, 0, 2], np.int32)
PIXELS = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1) * np.ones((1, 2, 2, 3), np.uint8)


def answering(values: Any) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    return lambda pixels: np.asarray(values, np.float32)[pixels[:, 0, 0, 0]]


def compared(export: Any, *, labels: Any = LABELS, logits: Any = LOGITS, **options: Any) -> Check:
    batches = [
        (PIXELS[part], None if labels is None else labels[part])
        for part in (slice(0, 3), slice(3, 4))
    ]
    options = {"temperature": 1.0, "sizes": (20, 10), **options}
    return compare(answering(logits), export=answering(export), batches=batches, **options)


def test_an_export_that_answers_the_same() -> None:
    seen: list[int] = []
    check = compared(np.exp(LOGITS), progress=seen.append)
    assert check.largest_difference < 1e-7
    assert (check.pictures, check.same_class) == (4, 4)
    assert (check.keras.accuracy, check.export.accuracy, check.points_lost) == (0.75, 0.75, 0.0)
    assert (check.keras.bytes, check.export.bytes) == (20, 10)
    assert check.export.latency > 0
    assert check.export.pictures_per_second > 0
    assert check.reason is None
    assert seen == [3, 4]


def test_what_differs_is_measured() -> None:
    found = np.exp(LOGITS)
    found[1] = [0.5, 0.3, 0.2]
    check = compared(found)
    assert check.largest_difference == pytest.approx(0.5)
    assert check.same_class == 3
    assert check.export.accuracy == 0.5
    assert check.points_lost == 25
    assert check.to_json()["points_lost"] == 25


def test_the_temperature_is_put_to_the_logits() -> None:
    tempered = np.exp(LOGITS / 2)
    tempered /= tempered.sum(axis=1, keepdims=True)
    assert compared(tempered, temperature=2.0).largest_difference < 1e-7
    assert compared(tempered).largest_difference > 0.1


def test_pictures_of_unknown_class_tell_no_accuracy() -> None:
    check = compared(np.exp(LOGITS), labels=None, reason="the source is gone")
    assert (check.keras.accuracy, check.export.accuracy, check.points_lost) == (None,) * 3
    assert check.reason == "the source is gone"


def test_what_is_not_finite_in_one_only_differs_infinitely() -> None:
    broken = np.exp(LOGITS)
    broken[3, 1] = math.nan
    assert compared(broken).largest_difference == math.inf
    nan = np.full_like(LOGITS, math.nan)
    assert compared(nan, logits=nan).largest_difference == 0


@pytest.mark.parametrize(("unit", "tolerance"), [(1.0, 1e-4), (1e4, 1e-6 * 1e4 * np.log(10))])
def test_logits_beyond_what_float32_resolves_are_tolerated(unit: float, tolerance: float) -> None:
    check = compared(np.exp(LOGITS), logits=LOGITS * np.float32(unit))
    assert check.tolerance == pytest.approx(tolerance, rel=1e-5)


def test_an_export_to_other_classes_is_no_export() -> None:
    with pytest.raises(ValueError, match=r"expected shape \(3, 3\)\. Received: \(3, 2\)"):
        compared(np.exp(LOGITS)[:, :2])
