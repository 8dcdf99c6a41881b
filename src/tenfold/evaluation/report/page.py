"""Making ``report.html`` from what a run folder holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tenfold.errors import RunError
from tenfold.evaluation.details import Details, load_details
from tenfold.evaluation.report import calibration, classes, curves, reproduce
from tenfold.evaluation.report.headline import headline
from tenfold.evaluation.result import Result, load_result
from tenfold.files import atomic_write_text
from tenfold.pages import render
from tenfold.recipe import Recipe
from tenfold.run import Run


def write_report(run: Run) -> Path:
    """Write a run's ``report.html``, from the other files of its folder and nothing else.

    What the folder does not hold, because the training ended early or was made before a report
    could show it, is left out of the page, which says so.

    Returns:
        The path of the page.

    Raises:
        RunError: the folder is no run, or one of its files is damaged.
        OutputError: the page cannot be written.
    """
    atomic_write_text(run.report_path, render(__package__, "report.html", _values(run)))
    return run.report_path


def _values(run: Run) -> dict[str, Any]:
    """What the template shows, by name; None for what the folder does not hold."""
    recipe = run.recipe()
    result = load_result(run) if run.finished else None
    source = _if_there(run.source_path, run.source)
    preprocessing = _if_there(run.preprocessing_path, run.preprocessing)
    names = _class_names(result, preprocessing)
    details = load_details(run, len(names)) if result and names else None
    environment = _if_there(run.environment_path, run.environment)
    limit = environment.get("time_budget") if environment else None
    return {
        "run": run.path.resolve().name,
        "recipe": recipe,
        "title": f"{recipe.name} on {_short(source['name'])}" if source else recipe.name,
        "result": result,
        "test": result.test if result else None,
        "finished": _date(result.finished) if result else None,
        "headline": headline(result.test) if result else None,
        "names": names,
        "source": source,
        "preprocessing": preprocessing,
        "environment": environment,
        "time_limit": limit,
        "machine": _machine(run) if run.environment_path.is_file() else None,
        "story": curves.story(run, recipe, result, timed=bool(limit)),
        "classes": classes.overview(result.test, details) if result else None,
        "details": details,
        "calibration": calibration.overview(run, details),
        "changed": [
            (key, reproduce.as_toml(value), reproduce.as_toml(default))
            for key, value, default in reproduce.differences(recipe, Recipe())
        ],
        "recipe_toml": recipe.to_toml(),
        "command": reproduce.command(run, source) if source else None,
        "missing": _missing(run, result, details),
    }


def _if_there(path: Path, read: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """What a file holds; None where a training was cut off before it was written."""
    return read() if path.is_file() else None


@dataclass(frozen=True)
class _Machine:
    """What a report shows of the machine."""

    cpu: str
    cores: int
    system: str
    instruction_sets: tuple[str, ...] = ()
    memory_total: float = 0.0


_MACHINE = TypeAdapter(_Machine)


def _machine(run: Run) -> _Machine:
    try:
        return _MACHINE.validate_python(run.environment()["machine"])
    except ValidationError as error:
        first = error.errors()[0]
        raise RunError(
            f"run {run.path} is damaged: {run.environment_path.name}, machine."
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}; train it again"
        ) from None


def _class_names(result: Result | None, preprocessing: dict[str, Any] | None) -> tuple[str, ...]:
    if result:
        return result.test.class_names
    return tuple(preprocessing["class_names"]) if preprocessing else ()


def _missing(run: Run, result: Result | None, details: Details | None) -> list[str]:
    """What a reader may look for in vain, and why."""
    lacking = []
    if result and not details:
        lacking.append(
            "the surest mistakes, examples of confused pairs, the calibration and augmented "
            f"pictures: this run has no {run.details_path.name}"
        )
    for path, what in (
        (run.source_path, "what it was trained on"),
        (run.environment_path, "the machine and the versions"),
    ):
        if not path.is_file():
            lacking.append(f"{what}: this run has no {path.name}")
    return lacking


def _short(source: str) -> str:
    """The last part of a path; a name as it is."""
    return Path(source).name or source


def _date(stamp: str) -> str:
    try:
        moment = datetime.fromisoformat(stamp).astimezone(UTC)
    except ValueError:
        return stamp
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"
