"""What a training leaves for people, and that it costs the run nothing where it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tenfold.data.dataset import Dataset, Split
from tenfold.errors import OutputError
from tenfold.evaluation import Evaluation, evaluate_probabilities, load_result
from tenfold.evaluation.collect import DetailCollector
from tenfold.evaluation.details import load_details
from tenfold.evaluation.report import leave, leave_report
from tenfold.pages import data_uri
from tenfold.run import Run

from .conftest import MakeRun, pictures, predictions
from .reading import read


@pytest.fixture
def watched() -> tuple[Dataset, Evaluation, DetailCollector]:
    """A dataset, and an evaluation of its test split."""
    labels, probabilities = predictions(4, 120)
    images, classes = pictures(labels, 8), labels.astype(np.int32)
    splits = {
        "train": Split("train", images, classes, np.arange(60)),
        "validation": Split("validation", images, classes, np.arange(0)),
        "test": Split("test", images, classes, np.arange(60, 120)),
    }
    names = ("a", "b", "c", "d")
    dataset = Dataset("made", "npz", "f" * 64, names, 8, **splits, skipped=())
    collector = DetailCollector()
    batches = [(classes[60:], probabilities[60:])]
    return dataset, evaluate_probabilities(collector.watch(batches), names), collector


def left(run: Run, watched: tuple[Dataset, Evaluation, DetailCollector]) -> list[str]:
    told: list[str] = []
    leave_report(run, *watched, title="lab-2 on made", warn=told.append)
    return told


def test_pictures_come_from_the_split_that_was_tested(
    make_run: MakeRun, watched: tuple[Dataset, Evaluation, DetailCollector]
) -> None:
    run = make_run(names=list("abcd"), predicted=predictions(4, 120), detailed=False)
    dataset = watched[0]
    assert left(run, watched) == []
    details = load_details(run, classes=4)
    assert details is not None
    for mistake in (*details.mistakes, *details.confused):
        (pixels,), (label,) = dataset.test.gather(np.array([mistake.position]))
        assert mistake.picture == data_uri(pixels)
        assert mistake.true == label
    assert run.confusion_path.read_bytes().startswith(b"\x89PNG")
    assert read(run.report_path).all("section", id="mistakes")


def test_augmented_pictures_are_of_the_training_split_and_of_different_classes(
    make_run: MakeRun, watched: tuple[Dataset, Evaluation, DetailCollector]
) -> None:
    run = make_run(names=list("abcd"), predicted=predictions(4, 120), detailed=False)
    dataset = watched[0]
    left(run, watched)
    details = load_details(run, classes=4)
    assert details is not None
    training = {data_uri(picture) for picture in dataset.train.gather(np.arange(60))[0]}
    assert {sample.label for sample in details.augmented} == {0, 1, 2, 3}
    for sample in details.augmented:
        original, *seen = sample.pictures
        assert original in training
        assert len(seen) == 5
        assert any(picture != original for picture in seen)


def test_a_recipe_without_augmentation_shows_none(
    make_run: MakeRun, watched: tuple[Dataset, Evaluation, DetailCollector]
) -> None:
    run = make_run(
        names=list("abcd"), predicted=predictions(4, 120), detailed=False, recipe="lab-2-original"
    )
    left(run, watched)
    assert read(run.report_path).all("section", id="augmentation") == []


@pytest.mark.parametrize("name", ["details.json", "confusion.png", "report.html"])
def test_a_place_that_takes_no_report_is_told_and_the_run_stays_finished(
    make_run: MakeRun, watched: tuple[Dataset, Evaluation, DetailCollector], name: str
) -> None:
    run = make_run(names=list("abcd"), predicted=predictions(4, 120), detailed=False)
    (run.path / name).mkdir()
    (line,) = left(run, watched)
    assert name in line
    assert "\n" not in line
    assert f"make it with: tenfold runs report {run.path}" in line
    assert load_result(run).test.count == 120


def test_a_full_disk_is_told_in_one_line(
    make_run: MakeRun,
    watched: tuple[Dataset, Evaluation, DetailCollector],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(names=list("abcd"), predicted=predictions(4, 120), detailed=False)

    def full(run: Run) -> Path:
        raise OutputError(f"cannot write {run.report_path}: the disk is full; free some space")

    monkeypatch.setattr(leave, "write_report", full)
    (line,) = left(run, watched)
    assert "there is no report: cannot write" in line
    assert "the disk is full" in line
