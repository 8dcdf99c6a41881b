"""Runs side by side: what was set differently, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tenfold.errors import RunError
from tenfold.evaluation.result import Result, load_result
from tenfold.run import Run


@dataclass(frozen=True, slots=True)
class Summary:
    """One run in a list.

    Attributes:
        run: the run.
        state: damaged folders are listed too, so that nothing vanishes silently.
        recipe: the recipe's name; empty where it cannot be read.
        result: None unless finished.
        damage: why the folder cannot be read; empty unless damaged.
    """

    run: Run
    state: Literal["finished", "unfinished", "damaged"]
    recipe: str = ""
    result: Result | None = None
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that is not the same in all runs.

    Attributes:
        key: ``section.key`` as in the recipe, or ``source.key``.
        values: one for each run, in their order; None where it is not set.
    """

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side.

    Attributes:
        differences: what was set differently.
        summaries: one for each run, in their order.
    """

    differences: tuple[Difference, ...]
    summaries: tuple[Summary, ...]


def summarize(run: Run) -> Summary:
    """What a list shows of a run. A damaged folder is told of, not raised."""
    if run.damage is not None:
        return Summary(run, "damaged", damage=run.damage)
    recipe = run.recipe().name
    if not run.finished:
        return Summary(run, "unfinished", recipe)
    try:
        return Summary(run, "finished", recipe, load_result(run))
    except RunError as error:
        return Summary(run, "damaged", recipe, damage=str(error))


def compare(runs: Sequence[Run]) -> Comparison:
    """Find the settings and the sources that differ, and put the results beside them.

    Raises:
        RunError: a run is damaged.
    """
    settings = [dict(_settings(run)) for run in runs]
    keys = dict.fromkeys(key for one in settings for key in one)
    columns = ((key, tuple(one.get(key) for one in settings)) for key in keys)
    return Comparison(
        differences=tuple(
            Difference(key, values)
            for key, values in columns
            if any(value != values[0] for value in values)
        ),
        summaries=tuple(map(summarize, runs)),
    )


def _settings(run: Run) -> Iterator[tuple[str, Any]]:
    """Everything that defines the run and may differ: recipe and source, flat."""
    # A description says in words what the other keys say in values.
    yield from _flatten(run.recipe().model_dump(exclude={"description"}))
    if run.source_path.is_file():  # absent where the training stopped before it was read
        yield from _flatten(run.source(), "source.")


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        elif not isinstance(value, list):  # a list, as of skipped pictures, has no room in a table
            yield f"{prefix}{key}", value
