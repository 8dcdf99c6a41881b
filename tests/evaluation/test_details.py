"""The details of an evaluation: found as it passes by, kept in a file, checked when read."""

from __future__ import annotations

import json
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.data.dataset import Split
from tenfold.errors import RunError
from tenfold.evaluation import collect, evaluate_probabilities
from tenfold.evaluation.collect import DetailCollector
from tenfold.evaluation.details import (
    Augmented,
    Details,
    load_details,
    save_details,
    with_pictures,
)
from tenfold.evaluation.reliability import Reliability, at_temperature
from tenfold.pages import data_uri
from tenfold.run import Run

Batch = tuple[np.ndarray, np.ndarray]


def predictions(count: int, classes: int, seed: int = 0) -> Batch:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    return labels, generator.dirichlet(np.full(classes, 0.5), count).astype(np.float32)


def collected(
    labels: np.ndarray, probabilities: np.ndarray, size: int = 7, temperature: float = 1.0
) -> Details:
    names = [str(label) for label in range(probabilities.shape[1])]
    starts = range(0, len(labels), size)
    batches = [(labels[at : at + size], probabilities[at : at + size]) for at in starts]
    collector = DetailCollector(temperature)
    return collector.details(evaluate_probabilities(collector.watch(batches), names))


def wrong_by_confidence(labels: np.ndarray, probabilities: np.ndarray) -> list[Any]:
    """Every mistake, by sorting them all."""
    predicted = probabilities.argmax(axis=1)
    rows = zip(labels.tolist(), predicted.tolist(), probabilities.max(axis=1).tolist(), strict=True)
    wrong = [(at, *row) for at, row in enumerate(rows) if row[0] != row[1]]
    return sorted(wrong, key=lambda mistake: (-mistake[3], mistake[0]))


def test_the_mistakes_are_the_most_confident_of_all() -> None:
    labels, probabilities = predictions(300, 4)
    details = collected(labels, probabilities)
    mistakes = [(one.position, one.true, one.predicted, one.confidence) for one in details.mistakes]
    assert mistakes == wrong_by_confidence(labels, probabilities)[: collect.MISTAKES]
    assert details.reliability == Reliability().added(labels, probabilities)


def test_each_of_the_most_confused_pairs_has_its_most_confident_examples() -> None:
    labels, probabilities = predictions(300, 4)
    everything = wrong_by_confidence(labels, probabilities)
    counts: dict[tuple[int, int], int] = {}
    for _, true, predicted, _ in everything:
        counts[true, predicted] = counts.get((true, predicted), 0) + 1
    pairs = sorted(counts, key=lambda pair: (-counts[pair], pair))[: collect.PAIRS]
    expected = [
        one[0]
        for pair in pairs
        for one in [one for one in everything if one[1:3] == pair][: collect.EXAMPLES]
    ]
    assert [one.position for one in collected(labels, probabilities).confused] == expected


def test_so_many_mistakes_that_not_all_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "_CAPACITY", 30)
    labels, probabilities = predictions(600, 4)
    expected = wrong_by_confidence(labels, probabilities)[: collect.MISTAKES]
    found = collected(labels, probabilities).mistakes
    assert [one.position for one in found] == [mistake[0] for mistake in expected]


def test_predictions_that_are_not_finite_are_no_confident_mistakes() -> None:
    labels, probabilities = predictions(50, 3)
    probabilities[::2] = np.nan
    details = collected(labels, probabilities)
    assert all(one.position % 2 for one in details.mistakes)
    assert details.reliability.count == 25
    assert collected(labels, np.full_like(probabilities, np.nan)).mistakes == ()


def test_a_temperature_is_taken_back_for_what_was_before_it() -> None:
    labels, probabilities = predictions(200, 5)
    calibrated = at_temperature(probabilities, 2.0)
    details = collected(labels, calibrated, temperature=2.0)
    assert details.reliability.counts == Reliability().added(labels, calibrated).counts
    assert details.uncalibrated is not None
    before = Reliability().added(labels, probabilities)
    np.testing.assert_allclose(details.uncalibrated.confidence, before.confidence, rtol=1e-5)
    assert collected(labels, probabilities).uncalibrated is None


def test_memory_does_not_grow_with_the_number_of_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "_CAPACITY", 500)
    batch = predictions(200, 10)
    peaks = []
    for batches in (10, 10, 100):  # the first pays for imports
        collector = DetailCollector()
        tracemalloc.start()
        for _ in collector.watch(batch for _ in range(batches)):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] + 20_000


def sample(side: int = 8) -> Details:
    labels, probabilities = predictions(60, 4)
    images = np.random.default_rng(0).integers(0, 256, (60, side, side, 3), np.uint8)
    split = Split("test", images, labels.astype(np.int32), np.arange(60))
    details = collected(labels, probabilities)
    picture = data_uri(images[0])
    return replace(
        details,
        mistakes=with_pictures(details.mistakes, split),
        confused=with_pictures(details.confused, split),
        augmented=(Augmented(3, (picture, picture)),),
        findings=("2 pictures are in both splits",),
    )


def test_the_file_brings_them_back(tmp_path: Path) -> None:
    run, details = Run(tmp_path), sample()
    assert load_details(run, classes=4) is None
    save_details(run, details)
    assert load_details(run, classes=4) == details
    written = json.loads(run.details_path.read_text())
    assert 0 < written["expected_calibration_error"] < 1


def test_large_pictures_do_not_make_a_large_file(tmp_path: Path) -> None:
    save_details(Run(tmp_path), sample(side=512))
    assert Run(tmp_path).details_path.stat().st_size < 3_000_000


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"mistakes": [{"position": 0, "true": 9, "predicted": 1, "confidence": 0.5}]}, "classes"),
        ({"mistakes": [{"position": 0, "true": -1, "predicted": 1, "confidence": 0.5}]}, "true"),
        ({"mistakes": [{"position": 0, "true": 0, "predicted": 1, "confidence": 2}]}, "confidence"),
        ({"reliability": {"counts": [1], "correct": [2], "confidence": [0.5]}}, "reliability"),
        ({"temperature": 0}, "temperature"),
        ({"augmented": [{"label": 0, "pictures": ["http://example.org/a.png"]}]}, "pictures"),
        ({"augmented": [{"label": 0, "pictures": ["data:image/svg+xml,<svg/>"]}]}, "pictures"),
        ({"augmented": [{"label": 0, "pictures": ["data:image/png;base64,AA\n"]}]}, "pictures"),
        ({"mistakes": [{"position": 0, "true": 0, "predicted": 1, "confidence": 1}]}, "no picture"),
        ({"schema": 2}, "schema"),
    ],
)
def test_a_value_that_cannot_be_is_named(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    run = Run(tmp_path)
    save_details(run, sample())
    written = json.loads(run.details_path.read_text())
    run.details_path.write_text(json.dumps(written | change))
    with pytest.raises(RunError, match=rf"details\.json: .*{named}.*; remove that file"):
        load_details(run, classes=4)


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    run = Run(tmp_path)
    run.details_path.write_text(content)
    with pytest.raises(RunError, match=r"details\.json"):
        load_details(run, classes=4)


def test_a_pipe_and_a_file_without_end_are_not_read(tmp_path: Path) -> None:
    run = Run(tmp_path)
    os.mkfifo(run.details_path)
    with pytest.raises(RunError, match=r"details\.json: it cannot be read \(it is no regular file"):
        load_details(run, classes=4)
    run.details_path.unlink()
    with run.details_path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(RunError, match="it is larger than 16 MiB"):
        load_details(run, classes=4)
