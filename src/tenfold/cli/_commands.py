"""The commands, in the order of work, and the page that ``tenfold --help`` shows.

To add one, write its module and a line here. Nothing is imported for it until it is called, so
that help, completion and every other command stay as quick as they are.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """Where a command is, and what it does.

    Attributes:
        home: ``module:name`` of its function, or of a `typer.Typer` with commands of its own.
        summary: one line for the list of commands; the first line of its own help.
    """

    home: str
    summary: str


COMMANDS = {
    "train": Entry(
        "tenfold.cli.train:train", "Train a recipe on a source, test it, and leave a run folder."
    ),
    "evaluate": Entry(
        "tenfold.cli.evaluate:evaluate",
        "Evaluate a run's model on pictures that it was not trained on.",
    ),
    "predict": Entry(
        "tenfold.cli.predict:predict",
        "Predict the classes of pictures, with their probabilities.",
    ),
    "export": Entry(
        "tenfold.cli.export:export",
        "Write a run's model for other programs, and check it.",
    ),
    "serve": Entry(
        "tenfold.cli.serve:serve", "Serve a run's model: an API, and a page that takes pictures."
    ),
    "data": Entry("tenfold.cli.data:app", "Look at a source, and prepare it."),
    "runs": Entry(
        "tenfold.cli.runs:app", "List, show, compare and report runs; alone, it lists them."
    ),
    "recipes": Entry(
        "tenfold.cli.recipes:app", "List and show the recipes that ship; alone, it lists them."
    ),
    "doctor": Entry(
        "tenfold.cli.doctor:doctor", "Look at this computer, and measure how fast it trains."
    ),
}

OPTIONS = {
    "--version": "Print the version.",
    "--install-completion": "Make your shell complete commands, options and names.",
    "--show-completion SHELL": "Print what that would install, for bash, zsh or fish.",
    "-h, --help": "Show this, or after a command all about it.",
}
"""The options of ``tenfold`` itself."""

_EXAMPLE = "Example: tenfold train pictures/ --epochs 5"
_WIDEST = 100
"""Columns; longer lines are hard to read."""


def width() -> int:
    """Columns that help is written in."""
    import shutil

    return max(20, min(shutil.get_terminal_size().columns, _WIDEST))


def page() -> str:
    """What ``tenfold --help`` prints."""
    import textwrap

    parts = [
        textwrap.wrap("Usage: tenfold [OPTIONS] COMMAND [ARGS]...", width()),
        textwrap.wrap(
            "  Train image classifiers on the computer you have.", width(), subsequent_indent="  "
        ),
        ["Commands:", *_lines({name: entry.summary for name, entry in COMMANDS.items()})],
        ["Options:", *_lines(OPTIONS)],
        [f"  {_EXAMPLE}"],
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def _lines(rows: dict[str, str]) -> list[str]:
    """Names and what they mean, in two columns; in one where there is no room for two."""
    import textwrap

    columns = width()
    indent = 4 + max(map(len, rows))
    if indent > columns // 2:
        wrap = textwrap.TextWrapper(columns, initial_indent=" " * 6, subsequent_indent=" " * 6)
        return [line for name, text in rows.items() for line in (f"  {name}", *wrap.wrap(text))]
    wrap = textwrap.TextWrapper(columns, subsequent_indent=" " * indent)
    return [
        line for name, text in rows.items() for line in wrap.wrap(f"  {name:<{indent - 4}}  {text}")
    ]
