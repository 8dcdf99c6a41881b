"""``tenfold predict``; what it does is in `tenfold.cli._predicting`, which needs no Typer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli import _predicting
from tenfold.cli._options import JsonOption, RunArgument, whole_number


def predict(
    run: RunArgument,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Pictures, folders, archives, patterns in quotes; - is standard input.",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            parser=whole_number(1),
            help="Give the K most probable classes of each picture; where left out, "
            f"{_predicting.TOP}.",
        ),
    ] = None,
    json: JsonOption = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV on stdout.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write to this file instead; .json and .csv choose what is written.",
        ),
    ] = None,
) -> None:
    """Predict the classes of pictures, with their probabilities.

    Example: tenfold predict latest photos/ 'more/*.jpg' --top 3
    """
    _predicting.predict(run, paths or [], top=top, json=json, csv=csv, out=out)
