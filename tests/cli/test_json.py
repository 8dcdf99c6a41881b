"""``--json`` puts exactly one JSON object on stdout; everything else goes to stderr."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .conftest import COMMAND, Invoke, Trained, pictures, write_files


def test_train_prints_the_result(trained: Trained) -> None:
    value = trained.outcome.json()
    assert value["run"] == str(trained.run)
    assert value["test"]["count"] == 40
    assert value["epochs"] == 1
    assert "epoch 1/1" in trained.outcome.err
    assert "\x1b" not in trained.outcome.err


def test_evaluate_prints_the_same_accuracy_again(trained: Trained) -> None:
    process = subprocess.run(
        [*COMMAND, "evaluate", trained.run, "--json"],
        env={**os.environ, "TENFOLD_CACHE": str(trained.run.parents[1] / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    outcome = type(trained.outcome)(process.returncode, process.stdout, process.stderr)
    value = outcome.json()
    assert value["run"] == str(trained.run)
    tested = trained.outcome.json()["test"]
    assert {key: value[key] for key in ("accuracy", "count", "confusion")} == {
        key: tested[key] for key in ("accuracy", "count", "confusion")
    }
    assert value["loss"] == pytest.approx(tested["loss"], rel=1e-4)


def test_data_info(tenfold: Invoke, here: Path) -> None:
    write_files(here / "tree", pictures(classes=3, each=10))
    value = tenfold("data", "info", "tree", "--json").json()
    assert value["source"] == "tree"
    assert value["class_names"] == ["class-0", "class-1", "class-2"]
    assert sum(map(sum, value["counts"].values())) == 30
    assert list(value["counts"]) == ["train", "validation", "test"]
    assert value["skipped"] == []


def test_runs(tenfold: Invoke, here: Path, trained: Trained) -> None:
    assert tenfold("runs", "list", "--json").json() == {"runs": []}
    (here / "runs").symlink_to(trained.run.parent)
    (listed,) = tenfold("runs", "list", "--json").json()["runs"]
    assert listed["run"] == "runs/first"
    assert listed["state"] == "finished"
    assert listed["result"]["test"]["count"] == 40

    shown = tenfold("runs", "show", "latest", "--json").json()
    assert shown["result"] == listed["result"]
    assert shown["recipe"]["data"]["rows"] == 60
    assert shown["source"]["splits"] == {"train": 60, "validation": 144, "test": 40}
    assert shown["environment"]["seed"] == 0

    compared = tenfold("runs", "compare", "latest", trained.run, "--json").json()
    assert compared["differences"] == {}
    assert [run["result"] for run in compared["runs"]] == [listed["result"]] * 2


def test_recipes(tenfold: Invoke) -> None:
    listed = tenfold("recipes", "list", "--json").json()["recipes"]
    assert {"lab-1", "lab-2"} <= listed.keys()
    shown = tenfold("recipes", "show", "lab-2", "--set", "training.epochs=3", "--json").json()
    assert shown["training"]["epochs"] == 3
    assert shown["description"] == listed["lab-2"]
