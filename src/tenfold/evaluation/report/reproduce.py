"""The one command that makes a run again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import tomli_w

from tenfold.errors import RecipeError
from tenfold.recipe import Recipe, load_recipe, shipped
from tenfold.run import Run

_MOST_OVERRIDES = 8
"""A recipe that differs in more is easier to name by its file."""

_DRAWN = ("size", "validation", "test", "rows", "test_rows")
"""What the data section says of how splits are drawn."""

_OWN_SIZE = {"digits": 8, "cifar": 32, "folder": 32, "archive": 32, "table": 32}
"""Side of the pictures where nothing asks for another, by kind of source; the others vary."""


def command(run: Run, source: Mapping[str, Any]) -> str | None:
    """What to type, anywhere where the source is: a shipped recipe and what was changed of it.

    A recipe that is none of those, or is far from it, is named by its file in the run folder; so is
    what a time budget came to.

    Args:
        run: to be made again.
        source: what `Run.source` gives.

    Returns:
        None where no command can draw the same splits, because they were put together in Python.
    """
    path = run.repeat_path if run.repeat_path.is_file() else run.recipe_path
    recipe, options = run.recipe(), source["options"]
    if not options or options.get("seed", 0) != recipe.seed:
        return None
    # A dataset from `open_dataset` may have been drawn otherwise than the recipe says.
    drawn = {key: options[key] for key in _DRAWN if key in options}
    if recipe.data.size is None and drawn.get("size") == _OWN_SIZE.get(source["kind"]):
        drawn["size"] = None
    target = recipe.overridden(f"data.{key}={as_toml(value)}" for key, value in drawn.items())
    words = ["tenfold", "train", source["name"], "--recipe"]
    overrides = _overrides(target) if path == run.recipe_path else None
    if overrides is None:
        overrides = [_override(key, value) for key, value, _ in differences(target, recipe)]
        words.append(str(path))
    else:
        words.append(recipe.name)
    return shlex.join([*words, *(word for one in overrides for word in ("--set", one))])


def differences(recipe: Recipe, other: Recipe) -> Iterator[tuple[str, Any, Any]]:
    """Key, value here and value there, of every setting that differs; the description is none."""
    ours, theirs = _flat(recipe), _flat(other)
    return ((key, value, theirs[key]) for key, value in ours.items() if value != theirs[key])


def as_toml(value: Any) -> str:
    """A value as ``--set`` takes it and a recipe writes it."""
    return "none" if value is None else tomli_w.dumps({"v": value}).removeprefix("v = ").strip()


def _overrides(recipe: Recipe) -> list[str] | None:
    """What turns the shipped recipe of that name into this one; None where nothing short does."""
    if recipe.name not in shipped():
        return None
    changed = list(differences(recipe, load_recipe(recipe.name)))
    if len(changed) > _MOST_OVERRIDES:
        return None
    overrides = [_override(key, value) for key, value, _ in changed]
    try:
        again = load_recipe(recipe.name, overrides)
    except RecipeError:
        return None
    return overrides if again == recipe else None


def _override(key: str, value: Any) -> str:
    return f"{key}={value if isinstance(value, str) else as_toml(value)}"


def _flat(recipe: Recipe) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in recipe.model_dump(exclude={"name", "description"}).items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": setting for inner, setting in value.items()}
        else:
            flat[key] = value
    return flat
