"""Exporting: what is printed, what is refused, and what a run without its source still gives."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold import api
from tenfold.api import Exported
from tenfold.cli import export as command
from tenfold.serving.export.check import Answers, Check
from tenfold.serving.predictor import Predictor

from .conftest import Invoke, Trained

Refused = Callable[..., str]


@pytest.fixture
def run(here: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained run, to export from."""
    assert trained.outcome.code == 0, trained.outcome.err
    monkeypatch.setenv("TENFOLD_CACHE", str(trained.run.parents[1] / "cache"))
    shutil.copytree(trained.run, here / "runs" / "first")
    return Path("runs/first")


def test_a_training_leaves_a_model_for_predictions(run: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), np.uint8)
    found = Predictor(run / "model.onnx")
    np.testing.assert_allclose(
        found.predict(pixels), api.load_run(run).predict(pixels), rtol=0, atol=1e-5
    )
    result = json.loads((run / "result.json").read_text())
    assert json.loads(found.facts["test_accuracy"]) == result["test"]["accuracy"]
    calibration = json.loads((run / "calibration.json").read_text())
    assert json.loads(found.facts["temperature"]) == calibration["temperature"] != 1
    assert calibration["count"] == 144
    assert found.facts["recipe"] == (run / "recipe.toml").read_text()


def test_an_export_is_compared_on_every_test_picture(tenfold: Invoke, run: Path) -> None:
    outcome = tenfold("export", run, "--out", "deep/model.onnx")
    assert outcome.code == 0, outcome.err
    first, *rows = outcome.out.splitlines()
    assert first.split() == ["keras", "onnx"]
    words = [row.split() for row in rows]
    assert words[0][0] == "accuracy"
    assert words[0][1] == words[0][2]
    assert [row[0] for row in words[1:4]] == ["one", "pictures/s", "size,"]
    assert "the same class comes first for 40 of 40 pictures" in outcome.out
    assert rows[-1] == "exported to deep/model.onnx"
    (line,) = outcome.err.splitlines()
    assert line.startswith("compared 40 pictures in ")
    assert Path("deep/model.onnx").read_bytes() == (run / "model.onnx").read_bytes()


def test_litert_in_int8_as_json(tenfold: Invoke, run: Path) -> None:
    outcome = tenfold("export", run, "--format", "litert", "--int8", "--json")
    value = outcome.json()
    assert (value["format"], value["int8"], value["pictures"]) == ("litert", True, 40)
    assert value["path"] == str(run / "model-int8.tflite")
    assert value["export"]["bytes"] == (run / "model-int8.tflite").stat().st_size
    assert value["keras"]["bytes"] == (run / "model.keras").stat().st_size
    assert 0 < value["largest_difference"] < 0.1
    assert value["reason"] is None
    accuracy = json.loads((run / "result.json").read_text())["test"]["accuracy"]
    assert value["keras"]["accuracy"] == accuracy
    lost = 100 * (accuracy - value["export"]["accuracy"])
    assert value["points_lost"] == pytest.approx(lost, abs=1e-6)
    assert [line.split()[0] for line in outcome.err.splitlines()] == ["compared"]


def exported(**check: Any) -> Exported:
    answers = Answers(accuracy=0.75, latency=0.001, pictures_per_second=1e4, bytes=10**6)
    lost = check.pop("lost", 0.0)
    plain = Check(
        pictures=200,
        keras=answers,
        export=replace(answers, accuracy=0.75 - lost),
        largest_difference=0.3,
        tolerance=1e-4,
        same_class=190,
    )
    return Exported(path=Path("m"), format="litert", int8=True, check=replace(plain, **check))


def test_int8_that_costs_more_than_a_point_says_by_how_much(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command._warn(exported(lost=0.01))
    assert capsys.readouterr().err == ""
    command._warn(exported(lost=0.015))
    assert capsys.readouterr().err == (
        "WARNING: int8 costs 1.50 points of accuracy, more than 1: 75.00% became 73.50%; "
        "leave --int8 out to keep it\n"
    )


def changed(run: Path) -> None:
    facts = json.loads((run / "source.json").read_text())
    (run / "source.json").write_text(json.dumps({**facts, "fingerprint": "0" * 64}))


def test_without_its_source_an_export_is_compared_on_noise(tenfold: Invoke, run: Path) -> None:
    changed(run)
    outcome = tenfold("export")
    assert outcome.code == 0
    assert "accuracy" not in outcome.out
    assert "the same class comes first for 256 of 256 pictures" in outcome.out
    assert (
        "compared on 256 pictures of noise, which tell no accuracy: source digits has changed "
        "since run runs/first was trained on it"
    ) in outcome.err


def test_int8_without_training_pictures_is_refused(refused: Refused, run: Path) -> None:
    changed(run)
    line = refused("export", "--format", "litert", "--int8")
    assert "int8 needs pictures of the training split, and source digits has changed" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--format onxx", "no format called 'onxx' (did you mean 'onnx'?); there are onnx, litert"),
        ("--format tflite", "(did you mean 'litert'?)"),
        ("--format savemodel", "(did you mean 'savedmodel'?)"),
        ("--format pt", "no format called 'pt'; there are onnx, litert, savedmodel"),
        ("--int8", "int8 is for litert, and onnx stays in float32"),
        ("--out thesis.txt", "cannot write thesis.txt: what is there is no onnx export of Tenfold"),
        ("--out runs", "cannot write runs: what is there is no onnx export"),
        ("--format savedmodel --out runs/first", "runs/first: what is there is no savedmodel"),
        ("--out thesis.txt/model.onnx", "thesis.txt/model.onnx: a file lies where a folder"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    refused: Refused, run: Path, here: Path, arguments: str, message: str
) -> None:
    (here / "thesis.txt").write_text("mine")
    assert message in refused("export", run, *arguments.split())
    assert (here / "thesis.txt").read_text() == "mine"
    assert (run / "recipe.toml").exists()


def test_a_run_without_a_model_is_refused(refused: Refused, run: Path) -> None:
    (run / "model.keras").unlink()
    assert "has no model.keras" in refused("export")


def test_an_older_run_gets_its_model_when_it_is_needed(run: Path) -> None:
    whole = (run / "model.onnx").read_bytes()
    (run / "model.onnx").unlink()
    found = api.load_run(run)
    said: list[str] = []
    assert found.ensure_onnx(said.append) == run / "model.onnx"
    assert said == [f"making {run / 'model.onnx'} from model.keras, once for all"]
    assert (run / "model.onnx").read_bytes() == whole
    found.ensure_onnx(said.append)
    assert len(said) == 1

    (run / "calibration.json").unlink()  # still older: nothing was calibrated
    (run / "model.onnx").unlink()
    assert json.loads(Predictor(found.ensure_onnx()).facts["temperature"]) == 1

    (run / "result.json").unlink()  # unfinished: what is trained may change
    (run / "model.onnx").write_bytes(b"of before")
    assert found.ensure_onnx(said.append).read_bytes() != b"of before"
    assert said[1] == f"making {run / 'model.onnx'} from model.keras: the run is unfinished"
