"""What is shown of work on pictures, part by part: download, decoding, comparing, answering."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tenfold.cli import _console
from tenfold.cli._console import log

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

_PARTS = {
    "bytes": ("downloaded", "bytes", "downloading"),
    "pictures": ("prepared", "pictures", "preparing pictures"),
    "pairs": ("compared", "pairs of pictures", "looking for duplicates"),
    "compared": ("compared", "pictures", "comparing on pictures"),
}
"""Of each part: what was done, to what, and what is being done."""


class Preparation:
    """A bar on a terminal from the first report on, and anywhere a line of each part when done.

    `download`, `decode` and `search` are told how much is done, and of how much: None where that
    is not known.
    """

    def __init__(self) -> None:
        self._unit = ""
        self._done = 0
        self._began = time.perf_counter()
        self._bar: Progress | None = None

    def download(self, done: int, total: int | None) -> None:
        """Bytes there are, and bytes expected."""
        if self._unit != "bytes":
            from rich.progress import DownloadColumn, TransferSpeedColumn

            self._start("bytes", DownloadColumn(), TransferSpeedColumn())
        self._update(done, total)

    def decode(self, done: int, total: int | None) -> None:
        """Pictures decoded, and pictures expected."""
        if self._unit != "pictures":
            from rich.progress import MofNCompleteColumn

            self._start("pictures", MofNCompleteColumn())
        self._update(done, total)

    def search(self, done: int, total: int | None) -> None:
        """Pairs of pictures that are compared in looking for duplicates, and pairs there are."""
        if self._unit != "pairs":
            from rich.progress import TaskProgressColumn

            self._start("pairs", TaskProgressColumn())
        self._update(done, total)

    def compare(self, done: int, total: int | None) -> None:
        """Pictures that an export is compared on, and how many there are."""
        if self._unit != "compared":
            from rich.progress import MofNCompleteColumn

            self._start("compared", MofNCompleteColumn())
            self._began = time.perf_counter()  # what came before was converting, not comparing
        self._update(done, total)

    def close(self) -> None:
        """Take the bar away, and leave a line of what was done; once, however often called."""
        self._stop()
        if self._unit:
            seconds = time.perf_counter() - self._began
            verb, noun, _ = _PARTS[self._unit]
            log(f"{verb} {self._done:,} {noun} in {seconds:.1f} s")
            self._unit, self._began = "", time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _start(self, unit: str, *columns: ProgressColumn) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.close()
        self._unit = unit
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *columns,
            TimeRemainingColumn(),
            console=_console.ERR,
            transient=True,
            disable=not _console.ERR.is_interactive,
        )
        self._bar.add_task(_PARTS[unit][2], total=None)
        self._bar.start()

    def _update(self, done: int, total: int | None) -> None:
        self._done = done
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)


class Answering:
    """A bar on a terminal for predictions that go elsewhere, once they have taken a second.

    Args:
        total: says how many there will be, if that is known; asked when the bar is first drawn.
        shown: False where the answers themselves show how far they are.
    """

    def __init__(self, total: Callable[[], int | None], *, shown: bool) -> None:
        self._total = total
        self._shown = shown and sys.stderr.isatty()
        self._began = time.perf_counter()
        self._bar: Progress | None = None

    def update(self, done: int) -> None:
        """Pictures that are answered."""
        if not self._shown or time.perf_counter() - self._began < 1:
            return
        if self._bar is None:
            self._bar = self._start()
        self._bar.update(self._bar.task_ids[0], completed=done)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _start(self) -> Progress:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = Progress(
            TextColumn("predicting"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=_console.ERR,
            transient=True,
            disable=not _console.ERR.is_interactive,
        )
        bar.add_task("", total=self._total())
        bar.start()
        return bar
