"""What is shown of a source's preparation: its download, then the decoding of its pictures."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from tenfold.cli._console import ERR, log


class Preparation:
    """A bar on a terminal from the first report on, and anywhere a line of each part when done.

    `download` and `decode` are told how much is done, and of how much: None where that is not
    known.
    """

    def __init__(self) -> None:
        self._unit = ""
        self._done = 0
        self._began = time.perf_counter()
        self._bar = Progress(disable=True)

    def download(self, done: int, total: int | None) -> None:
        """Bytes there are, and bytes expected."""
        if self._unit != "bytes":
            self._start("bytes", DownloadColumn(), TransferSpeedColumn())
        self._update(done, total)

    def decode(self, done: int, total: int | None) -> None:
        """Pictures decoded, and pictures expected."""
        if self._unit != "pictures":
            self._start("pictures", MofNCompleteColumn())
        self._update(done, total)

    def close(self) -> None:
        """Take the bar away, and leave a line of what was done; once, however often called."""
        self._bar.stop()
        if self._unit:
            seconds = time.perf_counter() - self._began
            verb = "downloaded" if self._unit == "bytes" else "prepared"
            log(f"{verb} {self._done:,} {self._unit} in {seconds:.1f} s")
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
            self._bar.stop()

    def _start(self, unit: str, *columns: ProgressColumn) -> None:
        self.close()
        self._unit = unit
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *columns,
            TimeRemainingColumn(),
            console=ERR,
            transient=True,
            disable=not ERR.is_terminal,
        )
        self._bar.add_task("downloading" if unit == "bytes" else "preparing pictures", total=None)
        self._bar.start()

    def _update(self, done: int, total: int | None) -> None:
        self._done = done
        self._bar.update(self._bar.task_ids[0], completed=done, total=total)
