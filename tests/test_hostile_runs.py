"""Run folders from elsewhere: files that never end, lead out, or only cost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tenfold.errors import OutputError, RecipeError, RunError
from tenfold.files import append_line, atomic_write_text, read_file
from tenfold.recipe import Recipe, load_recipe
from tenfold.run import Run, list_runs

NAMES = ["source.json", "environment.json", "preprocessing.json", "result.json", "metrics.jsonl"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run.create(tmp_path / "runs" / "first", "lab-2")
    atomic_write_text(run.recipe_path, Recipe(name="lab-2").to_toml())
    return run


def reading(run: Run, name: str) -> Callable[[], Any]:
    method: Callable[[], Any] = getattr(run, name.partition(".")[0])
    return method


@pytest.mark.parametrize("name", NAMES)
def test_a_pipe_or_a_device_is_refused_at_once(run: Run, name: str) -> None:
    path = run.path / name
    os.mkfifo(path)
    if name != "result.json":  # which would not even count as there
        with pytest.raises(RunError, match="it is no regular file"):
            reading(run, name)()
    path.unlink()
    path.symlink_to("/dev/zero")
    if name != "result.json":
        with pytest.raises(RunError, match="it is no regular file"):
            reading(run, name)()


@pytest.mark.parametrize("name", [*NAMES, "recipe.toml"])
def test_a_file_of_ten_gigabytes_is_refused_unread(run: Run, name: str) -> None:
    with (run.path / name).open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(RunError, match=r"it is larger than (32 MiB|64 KiB)"):
        reading(run, name)()
    (listed,) = list_runs(run.path.parent)
    if name in ("recipe.toml", "metrics.jsonl", "result.json"):
        assert "it is larger than" in (listed.damage or "")


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, '"\\ud800'])
@pytest.mark.parametrize("name", NAMES)
def test_json_that_is_nested_without_end_is_damage(run: Run, name: str, content: str) -> None:
    (run.path / name).write_text(content + "\n")
    with pytest.raises(RunError, match="is not a JSON object"):
        reading(run, name)()


def test_json_that_would_take_a_hundred_times_its_size_is_refused(run: Run) -> None:
    (run.path / "metrics.jsonl").write_bytes(b'{"a":[' + b"[]," * 3_000_000 + b"0]}\n")
    with pytest.raises(RunError, match="more than 2,000,000 lists and entries"):
        run.metrics()


def test_other_encodings_are_not_guessed_at(run: Run) -> None:
    run.source_path.write_bytes('{"name": "x"}'.encode("utf-16"))
    with pytest.raises(RunError, match="is not a JSON object"):
        run.source()


def test_a_metrics_file_that_is_a_link_is_not_written_through(run: Run, tmp_path: Path) -> None:
    """As in a folder from elsewhere that a training is to go on in."""
    mine = tmp_path / "mine.txt"
    mine.write_text("no newline at the end")
    run.metrics_path.symlink_to(mine)
    with pytest.raises(OutputError, match="is a link, which is not followed; remove it"):
        run.record({"event": "step"})
    assert mine.read_text() == "no newline at the end"
    run.metrics_path.unlink()
    run.metrics_path.symlink_to(tmp_path / "new.txt")
    with pytest.raises(OutputError, match="is a link"):
        append_line(run.metrics_path, "x")
    assert not (tmp_path / "new.txt").exists()


def test_a_result_that_is_a_link_is_replaced_and_not_written_through(
    run: Run, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    run.result_path.symlink_to(mine)
    atomic_write_text(run.result_path, "{}")
    assert mine.read_text() == "mine"
    assert not run.result_path.is_symlink()


def test_a_file_may_have_the_size_that_it_may_have(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_file(tmp_path / "x", 5) == b"12345"
    with pytest.raises(OSError, match="larger than"):
        read_file(tmp_path / "x", 4)
    with pytest.raises(OSError, match="no regular file"):
        read_file(Path("/dev/null"), 4)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "y", 4)


# --- Recipes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 30_000, "not valid TOML"),
        ("a = " + "{a=" * 10_000, "not valid TOML"),
        (".".join(["a"] * 20_000) + " = 1", "a line with more than 100 dots"),
        ("[" + ".".join(["a"] * 20_000) + "]", "a line with more than 100 dots"),
        ("[data]\nrows = 0x" + "f" * 20_000, "must be at most 2147483647. Received: a number"),
        ("[optimizer]\nlearning_rate = 0x" + "f" * 20_000, "optimizer.learning_rate"),
        ("seed = " + "9" * 5000, "not valid TOML"),
        ("x = 1\n" * 20_000, "it is larger than 64 KiB"),
        ("seed = 1979-05-27", "seed must be a whole number"),
        ("model = 3", "model is a section"),
        ("[[model]]\nname = 'x'", "model is a section"),
    ],
)
def test_a_recipe_that_only_costs_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_recipe(tmp_path / "r.toml")


def test_a_recipe_that_is_a_device_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.toml")
    (tmp_path / "z.toml").symlink_to("/dev/zero")
    for name in ("r.toml", "z.toml"):
        with pytest.raises(RecipeError, match=r"no recipe file|no regular file"):
            load_recipe(tmp_path / name)


def test_an_override_that_only_costs_is_refused() -> None:
    for value in ("0x" + "f" * 20_000, "{" + ".".join(["a"] * 20_000) + "=1}", "[" * 100_000):
        with pytest.raises(RecipeError) as caught:
            load_recipe("lab-2", [f"data.rows={value}"])
        assert len(str(caught.value)) <= 2000
