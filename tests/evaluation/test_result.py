"""result.json: written last, read back whole, refused when damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tenfold.errors import RunError
from tenfold.evaluation import Evaluation, Result, load_result, save_result
from tenfold.run import Run

RESULT = Result(
    test=Evaluation(("cat", "dog"), (3, 5), ((2, 1), (1, 4)), 0.5),
    seconds=12.5,
    images_per_second=1000.0,
    peak_memory_bytes=2**30,
    epochs=2,
    steps=100,
    parameters=1234,
    precision="float32",
    started="2026-01-02T03:04:05+00:00",
    finished="2026-01-02T03:05:05+00:00",
)


def test_saving_it_finishes_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert not run.finished
    save_result(run, RESULT)
    assert run.finished
    assert load_result(run) == RESULT


def test_the_file_can_be_read_without_tenfold(tmp_path: Path) -> None:
    save_result(Run(tmp_path), RESULT)
    plain = json.loads((tmp_path / "result.json").read_text())
    assert plain["schema"] == 1
    assert plain["test"]["accuracy"] == 0.75
    assert plain["test"]["class_accuracy"] == [2 / 3, 0.8]
    assert plain["test"]["confusion"] == [[2, 1], [1, 4]]
    assert plain["test"]["interval"][0] < 0.75 < plain["test"]["interval"][1]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema": 2}, "schema"),
        ({"seconds": "long"}, "seconds"),
        ({"seconds": float("inf")}, "seconds"),
        ({"images_per_second": -1.0}, "images_per_second"),
        ({"peak_memory_bytes": 10**400}, "peak_memory_bytes"),
        ({"test": {}}, r"test\.class_names"),
        ({"precision": "float64"}, "precision"),
    ],
)
def test_a_damaged_value_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    run = Run(tmp_path)
    run.result_path.write_text(json.dumps(RESULT.to_json() | change))
    with pytest.raises(RunError, match=rf"is damaged: result.json, {named}: "):
        load_result(run)


def test_an_unfinished_run_has_none(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="unfinished"):
        load_result(Run(tmp_path))
