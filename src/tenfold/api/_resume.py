"""Finding the run to go on with, and making sure that nothing about it has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tenfold.api._origins import lasting_name
from tenfold.data.dataset import Dataset, open_dataset
from tenfold.data.sources import open_source
from tenfold.errors import RunError
from tenfold.recipe import Recipe, load_recipe
from tenfold.run import ROOT, Run, list_runs, load_run
from tenfold.training.time_budget import in_words

Progress = Callable[[int, int | None], None]


def find_unfinished(path: str | Path | None, root: Path = ROOT) -> Run:
    """The run to go on with.

    Args:
        path: its folder, finished or not; None: the current folder where that is a run, else the
            newest under ``root`` that is not finished.
        root: where runs go by default.

    Raises:
        RunError: there is none.
    """
    if path is not None:
        return load_run(path)
    here = Run(Path())
    if here.recipe_path.is_file() and here.source_path.is_file():
        return here
    for run in list_runs(root):
        if run.recipe_path.is_file() and not run.finished:
            return run
    raise RunError(
        f"there is no unfinished run in {root}; name the run's folder with --out, or start one "
        "with: tenfold train"
    )


def check_unchanged(
    run: Run,
    source: str | Path | Dataset | None,
    recipe: str | Path | Recipe | None,
    overrides: Sequence[str],
    time: float | None = None,
) -> None:
    """Refuse to go on with other settings than the run began with.

    Raises:
        RunError: a setting or the source is another; the line names it.
        RecipeError: the recipe or an override is no good by itself.
    """
    trained = run.recipe()
    if recipe is None:
        asked = trained.overridden(overrides)
    elif isinstance(recipe, Recipe):
        asked = recipe.overridden(overrides)
    else:
        asked = load_recipe(recipe, overrides)
    ours, theirs = _flat(asked), _flat(trained)
    for key, value in ours.items():
        if value != theirs[key] and key not in ("name", "description"):
            raise RunError(
                f"run {run.path} began with {key} = {theirs[key]}, and cannot go on with {value}; "
                "leave that out, or start a new run without --resume"
            )
    if time is not None:
        limit = run.environment().get("time_budget") if run.environment_path.exists() else None
        if limit is None or limit["seconds"] != time:
            began = f"a time budget of {in_words(limit['seconds'])}" if limit else "no time budget"
            raise RunError(
                f"run {run.path} began with {began}, and cannot go on with {in_words(time)}; leave "
                "that out, or start a new run without --resume"
            )
    name = run.source()["name"]
    if source is not None and not isinstance(source, Dataset) and lasting_name(str(source)) != name:
        raise RunError(
            f"run {run.path} began on {name}, and cannot go on with {source}; leave that out, or "
            "start a new run without --resume"
        )


def reopen(
    run: Run,
    source: str | Path | Dataset | None,
    *,
    mirror: str | None,
    progress: Progress | None,
    download_progress: Progress | None,
    search_progress: Progress | None,
) -> Dataset:
    """The dataset that a run began with, drawn again.

    Raises:
        RunError: the source has changed since, or its splits were made by hand and are not given.
        SourceError: the source cannot be read.
    """
    facts = run.source()
    if isinstance(source, Dataset):
        dataset = source
    elif not facts["options"]:
        raise RunError(
            f"run {run.path} began on splits of {facts['name']} that were made by hand; go on with "
            "them in Python: tenfold.resume(run, dataset)"
        )
    else:
        opened = open_source(facts["name"], mirror=mirror, progress=download_progress)
        _check_fingerprint(run, opened.fingerprint())  # before it is decoded for nothing
        dataset = open_dataset(
            opened, **facts["options"], progress=progress, search_progress=search_progress
        )
    _check_fingerprint(run, dataset.fingerprint)
    splits = (dataset.train, dataset.validation, dataset.test)
    if {split.name: len(split) for split in splits} != facts["splits"]:
        raise RunError(
            f"run {run.path} began on other splits of {facts['name']}; give those, or start a new "
            "run"
        )
    return dataset


def _check_fingerprint(run: Run, fingerprint: str) -> None:
    facts = run.source()
    if fingerprint != facts["fingerprint"]:
        raise RunError(
            f"source {facts['name']} has changed since run {run.path} began on it; put it back as "
            "it was, or start a new run"
        )


def _flat(recipe: Recipe) -> dict[str, object]:
    """Every setting by its dotted key."""
    flat: dict[str, object] = {}
    for key, value in recipe.model_dump().items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": setting for name, setting in value.items()}
        else:
            flat[key] = value
    return flat
