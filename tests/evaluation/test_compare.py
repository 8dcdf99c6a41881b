"""Runs side by side: what differs is shown, what is the same is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenfold.errors import RunError
from tenfold.evaluation import Evaluation, Result, compare, save_result, summarize
from tenfold.files import atomic_write_json, atomic_write_text
from tenfold.recipe import validate
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


def begun(path: Path, settings: dict[str, Any], fingerprint: str = "f00d") -> Run:
    run = Run.create(path, "test")
    atomic_write_text(run.recipe_path, validate(settings, "test").to_toml())
    atomic_write_json(
        run.source_path,
        {
            "name": "digits",
            "kind": "digits",
            "fingerprint": fingerprint,
            "splits": {"train": 50},
            "options": {},
            "skipped": [[f"{path.name}.png", "truncated"]],
        },
    )
    return run


def test_only_what_differs_is_shown(tmp_path: Path) -> None:
    first = begun(tmp_path / "1", {"name": "a", "description": "one", "seed": 7})
    second = begun(
        tmp_path / "2",
        {"name": "a", "description": "two", "seed": 7, "training": {"epochs": 3}},
        fingerprint="beef",
    )
    third = begun(tmp_path / "3", {"name": "a", "seed": 7, "training": {"early_stopping": 2}})
    save_result(first, RESULT)
    save_result(second, replace(RESULT, seconds=5.0))
    found = compare([first, second, third])
    assert {each.key: each.values for each in found.differences} == {
        "training.epochs": (10, 3, 10),
        "training.early_stopping": (None, None, 2),
        "source.fingerprint": ("f00d", "beef", "f00d"),
    }
    assert [each.run for each in found.summaries] == [first, second, third]
    assert [each.result and each.result.seconds for each in found.summaries] == [12.5, 5.0, None]


def test_equal_runs_have_no_differences(tmp_path: Path) -> None:
    runs = [begun(tmp_path / name, {"name": "a"}) for name in ("1", "2")]
    assert compare(runs).differences == ()


def test_a_run_without_a_source_is_still_compared(tmp_path: Path) -> None:
    runs = [begun(tmp_path / name, {"name": "a"}) for name in ("1", "2")]
    runs[0].source_path.unlink()
    differences = {each.key: each.values for each in compare(runs).differences}
    assert differences["source.fingerprint"] == (None, "f00d")


def test_a_damaged_run_is_refused(tmp_path: Path) -> None:
    run = begun(tmp_path / "1", {"name": "a"})
    run.recipe_path.write_text("seed = -1")
    with pytest.raises(RunError, match=r"is damaged: recipe .*seed must be at least 0"):
        compare([run])


def test_every_state_is_summarized(tmp_path: Path) -> None:
    unfinished = begun(tmp_path / "unfinished", {"name": "a"})
    finished = begun(tmp_path / "finished", {"name": "b"})
    save_result(finished, RESULT)
    damaged = begun(tmp_path / "damaged", {"name": "c"})
    damaged.result_path.write_text('{"schema": 1}')
    foreign = Run(tmp_path)
    assert summarize(unfinished).state == "unfinished"
    assert summarize(unfinished).recipe == "a"
    assert summarize(finished).state == "finished"
    assert summarize(finished).result == RESULT
    assert summarize(damaged).state == "damaged"
    assert "result.json, test: " in summarize(damaged).damage
    assert summarize(foreign).state == "damaged"
    assert "no recipe.toml" in summarize(foreign).damage
