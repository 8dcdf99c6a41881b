"""What is printed: the answer on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tenfold.files import to_json, translate_output_errors

# Both honour NO_COLOR, and write no escape sequences where there is no terminal.
ERR = Console(stderr=True)
OUT = Console()

_STDOUT = Path("standard output")
_UNLIMITED = 1_000_000
"""Columns of a stdout that is no terminal: whoever reads it wants every name whole."""


def say(text: str) -> None:
    """Print a part of the answer on stdout, in lines."""
    lines = "\n".join(map(_printable, text.split("\n")))
    with translate_output_errors(_STDOUT):
        OUT.print(lines, markup=False, highlight=False, soft_wrap=True)


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, names: int = 1) -> None:
    """Print a table on stdout, every value in full.

    Args:
        columns: the headings.
        rows: a cell for each column.
        names: how many columns hold names; the others hold numbers, and are flush right.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in columns[:names]:
        table.add_column(Text(title), overflow="fold")
    for title in columns[names:]:
        table.add_column(Text(title), justify="right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_printable(cell)) for cell in row))
    console = OUT if OUT.is_terminal else Console(width=_UNLIMITED)
    with translate_output_errors(_STDOUT):
        console.print(table)


def say_json(value: Any) -> None:
    """Print one JSON object, the whole answer, on stdout."""
    with translate_output_errors(_STDOUT):
        # As bytes, because JSON is UTF-8 whatever the terminal is.
        sys.stdout.buffer.write(to_json(value, indent=2).encode() + b"\n")
        sys.stdout.flush()


def log(text: str, style: str | None = None) -> None:
    """Print a line about what is going on, on stderr."""
    ERR.print(_printable(text), style=style, markup=False, highlight=False, soft_wrap=True)


def fail(text: str) -> None:
    """Print the one line that says what is wrong, on stderr."""
    log(f"tenfold: {text}", style="red")


def _printable(text: str) -> str:
    """Text from a user's file without what would command the terminal, or cannot be encoded."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
