"""What is printed: the answer on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    ERR: Console
    """stderr. It honours NO_COLOR, and writes no escape sequences where there is no terminal."""

_STDOUT = Path("standard output")
_UNLIMITED = 1_000_000
"""Columns of a stdout that is no terminal: whoever reads it wants every name whole."""


class ReaderGoneError(Exception):
    """Nobody reads our stdout any more, as after ``| head -1``; so there is no more to do."""


# Rich takes longer to import than most commands to answer, and many need none of it.
def __getattr__(name: str) -> Any:
    if name == "ERR":
        return _err()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def say(text: str, style: str | None = None) -> None:
    """Print a part of the answer on stdout, in lines."""
    lines = "\n".join(map(printable, text.split("\n"))) + "\n"
    if style is None or not sys.stdout.isatty():
        write(lines)
        return
    from rich.console import Console

    console = Console()
    with console.capture() as captured:
        console.print(lines, style=style, markup=False, highlight=False, soft_wrap=True, end="")
    write(captured.get())


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, names: int = 1) -> None:
    """Print a table on stdout, every value in full.

    Args:
        columns: the headings.
        rows: a cell for each column.
        names: how many columns hold names; the others hold numbers, and are flush right.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in columns[:names]:
        table.add_column(Text(title), overflow="fold")
    for title in columns[names:]:
        table.add_column(Text(title), justify="right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else _UNLIMITED)
    with console.capture() as captured:
        console.print(table)
    write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def say_json(value: Any) -> None:
    """Print one JSON object, the whole answer, on stdout."""
    from tenfold.files import to_json

    # As bytes, because JSON is UTF-8 whatever the terminal is.
    write(to_json(value, indent=2).encode() + b"\n")


def log(text: str, style: str | None = None) -> None:
    """Print a line about what is going on, on stderr."""
    _err().print(printable(text), style=style, markup=False, highlight=False, soft_wrap=True)


def fail(text: str) -> None:
    """Print the one line that says what is wrong, on stderr."""
    with suppress(OSError):  # whoever closed or filled stderr does without it
        log(f"tenfold: {text}", style="red")


@cache
def _err() -> Console:
    from rich.console import Console

    class Stderr(Console):
        """Goes quiet where nobody reads it any more: what we do is worth finishing."""

        def on_broken_pipe(self) -> None:
            self.quiet = True

    # FORCE_COLOR asks for colours in a file, not for bars that move.
    return Stderr(stderr=True, force_interactive=None if sys.stderr.isatty() else False)


def write(content: str | bytes) -> None:
    """Write a part of the answer on stdout as it is: text, or bytes where it must be UTF-8."""
    try:
        if isinstance(content, bytes):
            sys.stdout.buffer.write(content)
        else:
            sys.stdout.write(content)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered goes nowhere, or Python would complain of it in leaving.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderGoneError from None
    except OSError as error:
        from tenfold.files import translate_output_errors

        with translate_output_errors(_STDOUT):
            raise error


def printable(text: str) -> str:
    """Text from a user's file without what would command the terminal, or cannot be encoded."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
