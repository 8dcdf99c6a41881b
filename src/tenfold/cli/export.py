"""``tenfold export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenfold.cli._console import log, say, say_json, say_table
from tenfold.cli._options import JsonOption, RunArgument
from tenfold.cli._progress import Preparation

if TYPE_CHECKING:
    from tenfold.api import Exported

_MOST_POINTS = 1.0
"""Percentage points of accuracy that int8 may cost before it is said loudly."""


def export(
    run: RunArgument = "latest",
    format_: Annotated[
        str,
        typer.Option("--format", "-f", metavar="FORMAT", help="onnx, litert or savedmodel."),
    ] = "onnx",
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantize to int8; for litert only.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="PATH", help="The file, or the folder of a SavedModel."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a run's model for other programs, and check it.

    It is compared with the Keras model on every picture of the test split.
    Pixels go in and probabilities come out: normalization and calibration are part of the file.

    Example: tenfold export latest --format litert --int8 --out model.tflite
    """
    from tenfold import api

    form = api.parse_format(format_)
    found = api.load_run(run)
    with Preparation() as preparation:
        exported = found.export(
            form, out, int8=int8, progress=preparation.decode, checked=preparation.compare
        )
    _warn(exported)
    if json:
        say_json({"run": str(found.path), **exported.to_json()})
    else:
        _say(exported)


def _say(exported: Exported) -> None:
    check = exported.check
    pair = (check.keras, check.export)
    rows = [
        ["one picture, ms", *(f"{1000 * answers.latency:.2f}" for answers in pair)],
        ["pictures/s", *(f"{answers.pictures_per_second:,.0f}" for answers in pair)],
        ["size, MB", *(f"{answers.bytes / 1e6:.2f}" for answers in pair)],
    ]
    if check.keras.accuracy is not None:
        rows.insert(0, ["accuracy", *(f"{answers.accuracy:.2%}" for answers in pair)])
    say_table(["", "keras", exported.format + " int8" * exported.int8], rows)
    say("")
    say(
        f"probabilities differ by at most {check.largest_difference:.1e}; the same class comes "
        f"first for {check.same_class:,} of {check.pictures:,} pictures"
    )
    say(f"exported to {exported.path}")


def _warn(exported: Exported) -> None:
    check = exported.check
    if check.reason is not None:
        log(
            f"compared on {check.pictures:,} pictures of noise, which tell no accuracy: "
            f"{check.reason}",
            style="yellow",
        )
    lost = check.points_lost
    if exported.int8 and lost is not None and lost > _MOST_POINTS:
        log(
            f"WARNING: int8 costs {lost:.2f} points of accuracy, more than {_MOST_POINTS:.0f}: "
            f"{check.keras.accuracy:.2%} became {check.export.accuracy:.2%}; "
            "leave --int8 out to keep it",
            style="bold red",
        )
