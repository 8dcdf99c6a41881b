"""Reading the arguments of ``tenfold predict`` without Typer.

Typer, and pydantic with it, take as long to import as ONNX Runtime does, and somebody waits for one
answer. What is plain to read is read here; for whatever is not (a mistake, a wish for help) the
parser of all the other commands is asked, so that it is answered as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_FLAGS = {"--json": "json", "--csv": "csv"}
_VALUES = {"--top": "top", "--out": "out", "-o": "out"}


def predict_arguments(arguments: list[str]) -> dict[str, Any] | None:
    """The arguments of `tenfold.cli._predicting.predict`; None where Typer shall judge.

    Args:
        arguments: what follows ``tenfold predict``.
    """
    places: list[str] = []
    options: dict[str, Any] = {"top": None, "json": False, "csv": False, "out": None}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument == "--":
            places.extend(rest)
        elif argument == "-" or argument[0] != "-":
            places.append(argument)
        elif argument in _FLAGS:
            options[_FLAGS[argument]] = True
        elif argument in _VALUES:
            following = next(rest, None)
            if following is None or following[0] == "-":
                return None
            options[_VALUES[argument]] = following
        elif equals and value and name in _VALUES and name.startswith("--"):
            options[_VALUES[name]] = value
        else:
            return None
    if not places:
        return None
    if (top := options["top"]) is not None:
        if not (top.isascii() and top.isdigit() and int(top) > 0):
            return None
        options["top"] = int(top)
    if options["out"] is not None:
        options["out"] = Path(options["out"])
    return {"run": places[0], "paths": places[1:], **options}
