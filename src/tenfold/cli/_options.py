"""Arguments and options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tenfold.training.keeper import CheckpointInterval


def whole_number(least: int | None = None, most: int | None = None) -> Callable[[str], int]:
    """A parser for an option; unlike Typer's own, it names what it was given.

    Args:
        least: the smallest number that is accepted; None: any.
        most: likewise the largest.
    """
    bounds = [f"at least {least}"] if least is not None else []
    bounds += [f"at most {most}"] if most is not None else []
    rule = " of ".join(["not a whole number", *([" and ".join(bounds)] if bounds else [])])

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is {rule}") from None
        if (least is not None and number < least) or (most is not None and number > most):
            raise typer.BadParameter(f"{number} is {rule}")
        return number

    return parse


def byte_size(text: str | int) -> int:
    """A parser for an option that takes a number of bytes: 500000, 64KiB, 16MB, 1.5GiB."""
    from tenfold.machine import parse_memory

    if isinstance(text, int):  # Typer parses defaults too
        return text
    try:
        return parse_memory(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def duration(text: str | float) -> float:
    """A parser for an option that takes a time: 90s, 10m, 1h30m."""
    from tenfold.training.time_budget import TimeBudgetError, parse_time

    try:
        return parse_time(text)  # Typer parses defaults too, which are seconds
    except TimeBudgetError as error:
        raise typer.BadParameter(str(error)) from None


_SECONDS = {"s": 1, "m": 60, "h": 3600}


def interval(text: str) -> CheckpointInterval:
    """A parser for time or steps between checkpoints: ``30s``, ``5m``, ``1h``, or ``200 steps``."""
    from tenfold.training.keeper import CheckpointInterval

    found = re.fullmatch(r"(\d{1,9}) ?(s|m|h|steps)", text.strip())
    if found is None or int(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no interval; write it like 30s, 5m or '200 steps'")
    number, unit = int(found[1]), found[2]
    if unit == "steps":
        return CheckpointInterval(seconds=None, steps=number)
    return CheckpointInterval(seconds=number * _SECONDS[unit])


_RECIPE = "Recipe"
"""The heading of the options that choose or change one."""


def recipe_number(purpose: str) -> Any:
    """An option that is short for a whole number of the recipe, which says itself what it can be.

    Args:
        purpose: what help says of it.
    """
    return typer.Option(metavar="N", parser=whole_number(), help=purpose, rich_help_panel=_RECIPE)


def decimal_number(least: float, most: float) -> Callable[[str], float]:
    """A parser for an option that takes fractions.

    Args:
        least: the smallest number that is accepted.
        most: the largest.
    """

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a number") from None
        if not least <= number <= most:  # NaN is in no range
            raise typer.BadParameter(f"{text} is not a number from {least:g} to {most:g}")
        return number

    return parse


SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="digits, cifar10, cifar100; or a folder, archive, table or .npz file.",
    ),
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or latest.")]
RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe's name, or a .toml file.")
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "-r",
        metavar="RECIPE",
        help="A recipe's name, or a .toml file; where left out, one that fits the source.",
        rich_help_panel=_RECIPE,
    ),
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        "-s",
        metavar="SECTION.KEY=VALUE",
        help="Change a setting of the recipe; may be repeated.",
        rich_help_panel=_RECIPE,
    ),
]
MemoryOption = Annotated[
    int | None,
    typer.Option(
        metavar="SIZE",
        parser=byte_size,
        help="Keep the process within SIZE, like 2GB; where left out, within what is free.",
    ),
]
TimeOption = Annotated[
    float | None,
    typer.Option(
        metavar="TIME",
        parser=duration,
        help="End within TIME, like 90s, 10m or 1h30m: fit the length of the training and its "
        "schedule to the computer's speed. With --epochs, train for no more than those.",
    ),
]
CheckpointOption = Annotated[
    Any,
    typer.Option(
        metavar="INTERVAL",
        parser=interval,
        help="Save what --resume goes on from this often: 30s (where left out), 5m, '200 steps'.",
    ),
]
MirrorOption = Annotated[
    str | None,
    typer.Option(metavar="PLACE", help="The address or folder to get cifar10 or cifar100 from."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
PictureOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="The PNG to save.")
]
SampleSeedOption = Annotated[
    int,
    typer.Option(
        metavar="N", parser=whole_number(0, 2**31 - 1), help="Draw other pictures, by seed."
    ),
]
