"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer


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
        help="A recipe's name, or a .toml file; where left out, lab-2, or digits for digits.",
    ),
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        "-s",
        metavar="SECTION.KEY=VALUE",
        help="Change a setting of the recipe; may be repeated.",
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
