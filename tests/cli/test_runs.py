"""What the commands on runs print, and what they say of runs that are damaged."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from .conftest import Invoke, Trained, pictures, write_files

Refused = Callable[..., str]


@pytest.fixture
def run(here: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained run, to be damaged."""
    assert trained.outcome.code == 0, trained.outcome.err
    monkeypatch.setenv("TENFOLD_CACHE", str(trained.run.parents[1] / "cache"))
    shutil.copytree(trained.run, here / "runs" / "first")
    return Path("runs/first")


def test_a_finished_run_is_listed_shown_and_compared(tenfold: Invoke, run: Path) -> None:
    (line,) = tenfold("runs").out.splitlines()[1:]
    assert line.startswith("runs/first  lab-1   finished")

    shown = tenfold("runs", "show").out
    assert line in shown
    assert "source digits (digits): 60 train, 144 validation, 40 test" in shown
    assert "[optimizer]" in shown

    other = shutil.copytree(run, run.with_name("second"))
    recipe = (other / "recipe.toml").read_text().replace("epochs = 1", "epochs = 9")
    (other / "recipe.toml").write_text(recipe)
    (other / "result.json").unlink()
    compared = tenfold("runs", "compare", run, other).out.splitlines()
    assert compared[0].split() == ["runs/first", "runs/second"]
    assert ["training.epochs", "1", "9"] in [row.split() for row in compared]
    assert ["state", "finished", "unfinished"] in [row.split() for row in compared]


def test_a_report_is_made_again(tenfold: Invoke, run: Path) -> None:
    (run / "report.html").unlink()
    assert tenfold("runs", "report").out == "report runs/first/report.html\n"
    assert (run / "report.html").read_bytes().startswith(b"<!doctype html>")
    (run / "result.json").unlink()  # an unfinished run has one too
    assert tenfold("runs", "report", run, "--json").json() == {"report": "runs/first/report.html"}
    assert b"This run is unfinished" in (run / "report.html").read_bytes()


def test_evaluating_prints_every_class(tenfold: Invoke, run: Path) -> None:
    outcome = tenfold("evaluate")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("accuracy ")
    assert "of 40 pictures), loss " in outcome.out
    assert [row.split()[0] for row in outcome.out.splitlines()[-10:]] == list("0123456789")
    assert tenfold("evaluate", "--tta").code == 0


def test_without_runs_the_way_to_one_is_named(tenfold: Invoke, refused: Refused) -> None:
    assert "make one with: tenfold train" in tenfold("runs").out
    assert "make one with: tenfold train" in refused("runs", "show")
    assert "make one with: tenfold train" in refused("evaluate")


def test_a_run_that_is_none(refused: Refused, here: Path) -> None:
    (here / "empty").mkdir()
    (here / "file").write_text("")
    assert "no run at gone; 'tenfold runs' lists" in refused("runs", "show", "gone")
    assert "empty is not a run: it holds no recipe.toml" in refused("runs", "show", "empty")
    assert "file is a file, and a run is a folder" in refused("evaluate", "file")


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("name", ["recipe.toml", "source.json", "environment.json", "result.json"])
@pytest.mark.parametrize("content", ["", "{", "[1]", "{}", "\x00"])
def test_a_damaged_file_is_named(refused: Refused, run: Path, name: str, content: str) -> None:
    (run / name).write_text(content)
    if name == "recipe.toml" and content == "":
        return  # a recipe may leave everything out
    line = refused("runs", "show", run)
    assert str(run) in line
    assert name in line


@pytest.mark.parametrize("name", ["source.json", "preprocessing.json"])
@pytest.mark.parametrize("content", ["", "{}", '{"size": "large"}', "gone"])
def test_evaluating_a_damaged_run_names_the_file(
    refused: Refused, run: Path, name: str, content: str
) -> None:
    (run / name).write_text(content)
    if content == "gone":
        (run / name).unlink()
    line = refused("evaluate", run)
    assert str(run) in line
    assert name in line


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("preprocessing.json", "class_names", "digits"),
        ("preprocessing.json", "scale", [1.0]),
        ("preprocessing.json", "size", -1),
        ("source.json", "name", 5),
        ("source.json", "options", {"rows": "many"}),
        ("source.json", "options", {"colour": 1}),
        ("source.json", "fingerprint", None),
    ],
)
def test_a_value_that_cannot_be_is_named(
    refused: Refused, run: Path, name: str, key: str, value: object
) -> None:
    facts = json.loads((run / name).read_text())
    (run / name).write_text(json.dumps({**facts, key: value}))
    line = refused("evaluate", run)
    assert name in line
    assert key in line


def test_damaged_runs_are_listed_with_the_reason(tenfold: Invoke, run: Path) -> None:
    truncate(run / "result.json")
    outcome = tenfold("runs")
    assert outcome.code == 0
    assert outcome.out.splitlines()[1].split() == ["runs/first", "damaged"]
    assert "result.json is not a JSON object" in outcome.err


@pytest.mark.parametrize("damage", [truncate, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_damaged_model_is_refused(
    refused: Refused, run: Path, damage: Callable[[Path], object]
) -> None:
    damage(run / "model.keras")
    line = refused("evaluate", run)
    assert "model.keras" in line
    assert "train it again" in line


def test_code_in_a_model_is_not_run(refused: Refused, run: Path, here: Path) -> None:
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(_touch)])
    network.save(run / "model.keras")
    (here / "owned").unlink()  # building the network called it
    line = refused("evaluate", run)
    assert "model.keras cannot be loaded" in line
    assert not (here / "owned").exists()


def _touch(x: object) -> object:
    Path("owned").touch()
    return x


def test_a_model_of_another_shape_is_refused(refused: Refused, run: Path) -> None:
    inputs = keras.Input((9, 9, 3))
    flat = keras.layers.Flatten()(inputs)
    outputs = keras.layers.Dense(2, "softmax", name="probabilities")(flat)
    keras.Model(inputs, outputs).save(run / "model.keras")
    assert "model.keras" in refused("evaluate", run)


def test_a_model_that_names_other_code_is_refused(refused: Refused, run: Path, here: Path) -> None:
    with zipfile.ZipFile(run / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["module"], config["class_name"] = "os", "system"
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(run / "model.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert "model.keras cannot be loaded" in refused("evaluate", run)


def test_another_source_is_evaluated_by_the_names_of_its_classes(
    tenfold: Invoke, refused: Refused, run: Path, here: Path
) -> None:
    known = {name.replace("class-", ""): content for name, content in pictures(each=3).items()}
    write_files(here / "known", known)
    outcome = tenfold("evaluate", "--on", "known", "--json")
    assert outcome.json()["count"] == 6
    write_files(here / "known", {"cat/1.png": known["0/000.png"]})
    line = refused("evaluate", "--on", "known")
    assert "class 'cat' of known is not one that the model of runs/first knows: 0, 1, 2" in line
    assert "no source at gone" in refused("evaluate", "--on", "gone")


def test_a_source_that_has_changed_is_not_evaluated(refused: Refused, run: Path) -> None:
    facts = json.loads((run / "source.json").read_text())
    (run / "source.json").write_text(json.dumps({**facts, "fingerprint": "0" * 64}))
    line = refused("evaluate")
    assert "source digits has changed since run runs/first was trained on it" in line
    assert "--on" in line
