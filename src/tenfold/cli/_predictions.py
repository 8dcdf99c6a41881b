"""Predictions on their way out: a table, CSV or JSON, written as they come.

Lines are put together for a chunk of pictures at a time, without anything that would cost more a
picture than reading it does.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tenfold.cli._console import printable, write

if TYPE_CHECKING:
    from tenfold.serving.inputs import Skipped
    from tenfold.serving.stream import Answers

Write = Callable[[str], None]

_WIDEST_NAME = 24
"""Columns for the name of a class; a longer one pushes what follows it aside."""
_IN_MEMORY = 1 << 20


class Writer:
    """Writes the answers of one command.

    Args:
        write: takes a text.
        run: the run's folder.
        class_names: in the order of the probabilities.
        top: how many classes are given for each picture.
    """

    def __init__(self, write: Write, run: str, class_names: Sequence[str], top: int) -> None:
        self._write = write
        self._run = run
        self._class_names = class_names
        self._top = top

    def begin(self) -> None:
        """Write what comes before the first answer."""

    def answers(self, answers: Answers) -> None:
        """Write a chunk of answers; there may be none in it."""
        raise NotImplementedError

    def skipped(self, skipped: Skipped) -> None:
        """Take note of what could not be answered."""

    def end(self) -> None:
        """Write what comes after the last answer."""


class TableWriter(Writer):
    """A line a picture; paths come last, so that columns are straight while it streams."""

    def begin(self) -> None:
        """Widths are those of the classes: nobody knows the longest path yet."""
        names = [printable(name) for name in self._class_names]
        widest = min(max(map(_columns, names)), _WIDEST_NAME)
        self._cells = [name + " " * (widest - _columns(name)) for name in names]
        self._line = "%s %6.1f%%  " * self._top + "%s\n"
        places = [f"{_ordinal(place):<{widest + 10}}" for place in range(1, self._top + 1)]
        self._heading = "".join(places) + "path\n"

    def answers(self, answers: Answers) -> None:
        """Percentages have one digit after the point."""
        if not answers.names:
            return
        cells, line = self._cells, self._line
        rows = zip(
            answers.names,
            answers.classes.tolist(),
            (100 * answers.probabilities).tolist(),
            strict=True,
        )
        lines = [
            line
            % (*(x for one, p in zip(top, ps, strict=True) for x in (cells[one], p)), printable(n))
            for n, top, ps in rows
        ]
        self._write(self._heading + "".join(lines))
        self._heading = ""


class CsvWriter(Writer):
    """RFC 4180: a heading, fields quoted where they must be, lines that end in CR and LF."""

    def begin(self) -> None:
        """Write the heading."""
        self._cells = [_csv_field(name) for name in self._class_names]
        self._line = "%s" + ",%s,%.6g" * self._top + "\r\n"
        places = range(1, self._top + 1)
        self._write("path" + "".join(f",class_{n},probability_{n}" for n in places) + "\r\n")

    def answers(self, answers: Answers) -> None:
        """Probabilities have six significant digits."""
        cells, line = self._cells, self._line
        lines = [
            line % (_csv_field(name), *(x for one, p in pairs for x in (cells[one], p)))
            for name, pairs in _rows(answers)
        ]
        self._write("".join(lines))


class JsonWriter(Writer):
    """One object: ``run``, ``predictions`` as they come, and at the end ``skipped``."""

    def begin(self) -> None:
        """Open the object and its list."""
        self._cells = [f'{{"class": {_json_text(n)}, "probability": ' for n in self._class_names]
        self._separator = "\n    "
        # What is skipped comes last and may be as much as what is answered: it waits on disk.
        self._skipped = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - `end` closes it
            _IN_MEMORY, "w+", encoding="utf-8", newline=""
        )
        self._write(f'{{\n  "run": {_json_text(self._run)},\n  "predictions": [')

    def answers(self, answers: Answers) -> None:
        """Probabilities have six significant digits."""
        cells = self._cells
        lines = [
            f'{{"path": {_json_text(name)}, "top": ['
            + ", ".join([f"{cells[one]}{p:.6g}}}" for one, p in pairs])
            + "]}"
            for name, pairs in _rows(answers)
        ]
        if lines:
            self._write(self._separator + ",\n    ".join(lines))
            self._separator = ",\n    "

    def skipped(self, skipped: Skipped) -> None:
        """Keep it for the end."""
        name, reason = map(_json_text, skipped)
        self._skipped.write(f'{{"path": {name}, "reason": {reason}}}\n')

    def end(self) -> None:
        """Close the list, write the other one, and close the object."""
        self._write("\n  ],\n" if self._separator[0] == "," else "],\n")
        self._write('  "skipped": [')
        separator = "\n    "
        with self._skipped:
            self._skipped.seek(0)
            for line in self._skipped:
                self._write(separator + line.rstrip("\n"))
                separator = ",\n    "
        self._write("\n  ]\n}\n" if separator[0] == "," else "]\n}\n")


def _rows(answers: Answers) -> Iterator[tuple[str, Iterator[tuple[int, float]]]]:
    for name, top, ps in zip(
        answers.names, answers.classes.tolist(), answers.probabilities.tolist(), strict=True
    ):
        yield name, zip(top, ps, strict=True)


def _csv_field(text: str) -> str:
    if any(special in text for special in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _json_text(text: str) -> str:
    """A JSON text; bytes of a path that are not UTF-8 as in `tenfold.files.to_json`."""
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if quoted.isascii() else quoted.encode(errors="backslashreplace").decode()


def _columns(text: str) -> int:
    """Columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _ordinal(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else endings.get(number % 10, 'th')}"


@contextmanager
def opened(out: Path | None, form: type[Writer]) -> Iterator[Write]:
    """What takes the answer of a form: stdout, or a file that appears when it is whole.

    Raises:
        OutputError: the file cannot be written.
    """
    if out is None:
        # What programs read is UTF-8, whatever the terminal is.
        yield write if form is TableWriter else lambda text: write(_encoded(text))
        return

    from tenfold.files import atomic_path, translate_output_errors

    if out.exists() and not out.is_file() and not out.is_dir():  # a pipe, or a device
        with translate_output_errors(out), out.open("wb", buffering=0) as file:
            yield lambda text: _write_all(file, _encoded(text))
        return
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        yield lambda text: _write_all(file, _encoded(text))


def _encoded(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _write_all(file: BinaryIO, content: bytes) -> None:
    view = memoryview(content)
    while view:  # a file without a buffer may take a part
        view = view[file.write(view) :]
