"""``tenfold evaluate``."""

from __future__ import annotations

from typing import Annotated

import typer

from tenfold.cli._console import say, say_json, say_table
from tenfold.cli._format import accuracy_with_interval
from tenfold.cli._options import JsonOption, RunArgument
from tenfold.cli._progress import Preparation


def evaluate(
    run: RunArgument = "latest",
    on: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Evaluate on this source instead of the run's own."),
    ] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="Average over mirror images and shifts by a pixel.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Evaluate a run's model on pictures that it was not trained on.

    These are the test split of its own source, or another source.

    Example: tenfold evaluate latest --on new-pictures/
    """
    from tenfold import api

    found = api.load_run(run)
    with Preparation() as preparation:
        evaluation = found.evaluate(on, tta=tta, progress=preparation.decode)
    if json:
        say_json({"run": str(found.path), **evaluation.to_json()})
        return
    say(f"accuracy {accuracy_with_interval(evaluation)}, loss {evaluation.loss:.4f}")
    say("")
    rows = zip(
        evaluation.class_names, evaluation.class_counts, evaluation.class_accuracy, strict=True
    )
    say_table(
        ["class", "pictures", "accuracy"],
        [[name, f"{count:,}", f"{accuracy:.1%}"] for name, count, accuracy in rows],
    )
