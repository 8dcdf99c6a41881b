"""What a user may have meant."""

import os
from pathlib import Path

import pytest

from tenfold.suggestions import did_you_mean, did_you_mean_path, did_you_mean_setting

SETTINGS = [
    "name",
    "seed",
    "data.rows",
    "optimizer.name",
    "optimizer.learning_rate",
    "optimizer.clip_norm",
    "training.epochs",
    "training.batch_size",
    "training.label_smoothing",
]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("epochs", "training.epochs"),
        ("training.learning_rate", "optimizer.learning_rate"),
        ("optimizer.lr", "optimizer.learning_rate"),
        ("lr", "optimizer.learning_rate"),
        ("optimizer.rate", "optimizer.learning_rate"),
        ("data.batch", "training.batch_size"),
        ("training.epoch", "training.epochs"),
        ("optimizer.learnign_rate", "optimizer.learning_rate"),
        ("optimiser", "optimizer"),
        ("opt", "optimizer"),
        ("sed", "seed"),
    ],
)
def test_a_misremembered_setting_is_recognized(key, meant):
    assert did_you_mean_setting(key, SETTINGS) == f" (did you mean '{meant}'?)"


@pytest.mark.parametrize("key", ["colour", "optimizer.colour", "colour.depth", "optimizer.x", ""])
def test_nothing_is_suggested_for_what_resembles_nothing(key):
    assert did_you_mean_setting(key, SETTINGS) == ""


def test_a_word_is_compared_as_a_whole():
    assert did_you_mean("lab2", ["lab-1", "lab-2"]) == " (did you mean 'lab-2'?)"
    assert did_you_mean("resnet", ["lab-1", "lab-2"]) == ""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for path in ("pictures/cats/one.png", "labels.csv", "model"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("lables.csv", "labels.csv"),
        ("pictures/cts", "pictures/cats"),
        ("picturs/cats", "pictures/cats"),
        ("picturs/cats/on.png", "pictures/cats/one.png"),
        ("./pictres", "pictures"),
        ("nothing/alike", None),
        ("pictures/cats/one.png/x", None),
    ],
)
def test_a_path_with_a_slip_in_it(folders: Path, path: str, meant: str | None) -> None:
    for root in ("", f"{folders}{os.sep}"):
        hint = did_you_mean_path(Path(root + path))
        assert hint == (f" (did you mean '{Path(root + meant)}'?)" if meant else "")


@pytest.mark.usefixtures("folders")
def test_a_file_is_no_folder() -> None:
    assert did_you_mean_path(Path("modle")) != ""
    assert did_you_mean_path(Path("modle"), folders_only=True) == ""
