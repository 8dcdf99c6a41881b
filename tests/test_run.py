"""The run folder: made without treading on anything, read back with clear words."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tenfold.errors import OutputError, RunError
from tenfold.files import atomic_write_json, atomic_write_text
from tenfold.recipe import Recipe
from tenfold.run import Run, list_runs, load_run


def begun(root: Path, name: str, age: int = 0) -> Run:
    """A run that has written its recipe, ``age`` seconds ago."""
    run = Run.create(root / name, "lab-2")
    atomic_write_text(run.recipe_path, Recipe(name=name).to_toml())
    os.utime(run.recipe_path, (1e9 - age, 1e9 - age))
    return run


def finished(root: Path, name: str, age: int = 0) -> Run:
    run = begun(root, name, age)
    atomic_write_json(run.result_path, {"schema": 1})
    return run


def test_the_default_name_tells_time_and_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.run.time.strftime", lambda _: "20260102-030405")
    paths = [Run.create(None, "lab-2", tmp_path / "runs").path for _ in range(3)]
    assert [path.name for path in paths] == [
        "20260102-030405-lab-2",
        "20260102-030405-lab-2-2",
        "20260102-030405-lab-2-3",
    ]
    assert all(path.is_dir() for path in paths)


def test_two_trainings_never_share_a_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: Run.create(None, "lab-2", tmp_path), range(32)))
    assert len({run.path for run in runs}) == 32


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", "a b\n", "..", "", "x" * 300, "käse:*?"])
def test_any_recipe_name_makes_a_folder_inside_the_root(tmp_path: Path, name: str) -> None:
    run = Run.create(None, name, tmp_path)
    assert run.path.parent == tmp_path
    assert run.path.is_dir()


def test_out_is_made_where_it_is_said(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "deep" / "down", "lab-2")
    assert run.path == tmp_path / "deep" / "down"
    assert Run.create(run.path, "lab-2") == run  # still empty, so still free


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    run = begun(tmp_path, "first")
    with pytest.raises(RunError, match=r"first already holds a run; choose another --out"):
        Run.create(run.path, "lab-2")


def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(RunError, match="is not empty; choose another --out"):
        Run.create(tmp_path, "lab-2")


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file: a file of that name exists"):
        Run.create(tmp_path / "file", "lab-2")
    with pytest.raises(OutputError, match="a file lies where a folder is needed"):
        Run.create(tmp_path / "file" / "run", "lab-2")
    with pytest.raises(OutputError, match="a file lies where a folder is needed"):
        Run.create(None, "lab-2", root=tmp_path / "file")


def test_a_run_is_loaded_by_its_folder(tmp_path: Path) -> None:
    run = finished(tmp_path, "first")
    assert load_run(run.path) == load_run(str(run.path)) == run
    assert run.recipe() == Recipe(name="first")


def test_latest_is_the_newest(tmp_path: Path) -> None:
    finished(tmp_path, "a-new", age=1)
    finished(tmp_path, "b-newest", age=0)
    finished(tmp_path, "c-old", age=9)
    (tmp_path / "not-a-run").mkdir()
    assert load_run("latest", tmp_path).path.name == "b-newest"


def test_an_unfinished_run_loads_and_says_so(tmp_path: Path) -> None:
    run = load_run(begun(tmp_path, "first").path)
    assert not run.finished
    assert run.damage is None
    with pytest.raises(RunError, match=r"first is unfinished: it has no result.json"):
        run.result()
    with pytest.raises(RunError, match=r"first has no model.keras"):
        run.saved_model()


def test_what_is_no_run_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match=r"no run at .*missing; 'tenfold runs' lists"):
        load_run(tmp_path / "missing")
    with pytest.raises(RunError, match="is a file, and a run is a folder"):
        load_run(tmp_path / "file")
    with pytest.raises(RunError, match=r"folder is not a run: it holds no recipe.toml"):
        load_run(tmp_path / "folder")
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RunError, match=r"there are no runs in .* yet; make one with"):
            load_run("latest", root)


def test_a_list_is_newest_first_and_hides_nothing(tmp_path: Path) -> None:
    finished(tmp_path, "old", age=5)
    begun(tmp_path, "unfinished", age=3)
    damaged = finished(tmp_path, "damaged", age=4)
    damaged.result_path.write_text('{"schema": 1')
    wrong_recipe = begun(tmp_path, "wrong-recipe", age=2)
    wrong_recipe.recipe_path.write_text("[model]\nnmae = 'x'\n")
    os.utime(wrong_recipe.recipe_path, (1e9 - 2, 1e9 - 2))
    (tmp_path / ".cache").mkdir()
    (tmp_path / "notes.txt").write_text("")
    runs = {run.path.name: run.damage for run in list_runs(tmp_path)}
    assert list(runs) == ["wrong-recipe", "unfinished", "damaged", "old"]
    assert runs["old"] is None
    assert runs["unfinished"] is None
    assert "result.json is not a JSON object" in (runs["damaged"] or "")
    assert "unknown setting 'model.nmae'" in (runs["wrong-recipe"] or "")


def test_a_folder_without_a_recipe_is_listed_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "interrupted").mkdir()
    (run,) = list_runs(tmp_path)
    assert "holds no recipe.toml" in (run.damage or "")


def test_no_root_means_no_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "runs") == []


def test_metrics_come_back_as_recorded(tmp_path: Path) -> None:
    run = begun(tmp_path, "first")
    assert run.metrics() == []
    run.record({"event": "step", "step": 1, "loss": 2.5})
    run.record({"event": "step", "step": 2, "loss": math.nan, "note": "line\nbreak"})
    first, second = run.metrics()
    assert first == {"event": "step", "step": 1, "loss": 2.5}
    assert math.isnan(second.pop("loss"))
    assert second == {"event": "step", "step": 2, "note": "line\nbreak"}


@pytest.mark.parametrize("torn", ['{"event": "st', '{"event": "step"}', "{", "1"])
def test_a_torn_last_line_is_left_out(tmp_path: Path, torn: str) -> None:
    run = begun(tmp_path, "first")
    run.metrics_path.write_text('{"step": 1}\n' + torn)
    assert run.metrics() == [{"step": 1}]


@pytest.mark.parametrize("line", [b'{"step": ', b"[1]", b"\xff\xfe", b""])
def test_a_damaged_line_within_is_named(tmp_path: Path, line: bytes) -> None:
    run = begun(tmp_path, "first")
    run.metrics_path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 3}\n')
    with pytest.raises(RunError, match=r"line 2 of metrics.jsonl"):
        run.metrics()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff"])
def test_damaged_json_is_told_of(tmp_path: Path, content: bytes) -> None:
    run = finished(tmp_path, "first")
    for path in (run.result_path, run.source_path, run.environment_path, run.preprocessing_path):
        path.write_bytes(content)
    for read in (run.result, run.source, run.environment, run.preprocessing):
        with pytest.raises(RunError, match=r"first is damaged: \w+.json is not a JSON object"):
            read()


def test_missing_json_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"source.json cannot be read \(No such file"):
        begun(tmp_path, "first").source()
