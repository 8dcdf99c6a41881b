"""Watches what a reader does: files, processes, sockets and code, while it reads one input."""

from __future__ import annotations

import encodings.raw_unicode_escape  # noqa: F401 - the disassembler of pickles wants it for a text
import os
import sys
import unicodedata  # noqa: F401 - Python's parser wants it at the first name beyond ASCII
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_RUNS_CODE = (
    "exec", "import", "marshal.", "pickle.find_class", "code.__new__", "ctypes.", "cpython.",
    "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "os.fork",
    "subprocess.Popen", "pty.spawn", "webbrowser.open",
)  # fmt: skip
_REACHES_OUT = ("socket.", "http.client.", "urllib.Request", "ftplib.", "smtplib.")
_CHANGES_FILES = (
    "os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir",
    "os.setxattr", "os.symlink", "os.truncate", "os.utime", "shutil.", "tempfile.", "os.mknod",
)  # fmt: skip
# Not "compile": ast.literal_eval raises it, which reads the headers of arrays and runs nothing.
_WATCHED = (*_RUNS_CODE, *_REACHES_OUT, *_CHANGES_FILES, "open")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Guard:
    """Notes every event of Python's audit hooks that no reader has a reason for.

    A hook cannot be taken away again, so this lives as long as its process.

    Args:
        folder: the only place that a reader may touch.
        outside: an empty folder, meant to be the current one, home and temporary folder of the
            process, so that what a library written in C leaves behind is seen there.
    """

    def __init__(self, folder: Path, outside: Path) -> None:
        self._inside = (f"{folder}/", str(folder))
        # What Python itself reads when a library imports something late, or formats a traceback.
        self._readable = tuple(
            {f"{Path(entry).resolve()}/" for entry in (*sys.path, sys.prefix, sys.base_prefix)}
            | {"/proc/", "/sys/", "/dev/null", "/dev/urandom"}
        )
        self._outside = outside
        self._watching = self._reads_elsewhere = False
        self._seen: list[str] = []
        sys.addaudithook(self._hook)

    @contextmanager
    def watching(self, reads_elsewhere: bool = False) -> Iterator[list[str]]:
        """Watch the body; the list fills with what it did that it should not have done."""
        self._seen = seen = []
        self._reads_elsewhere = reads_elsewhere
        self._watching = True
        try:
            yield seen
        finally:
            self._watching = False
            if left := os.listdir(self._outside):  # noqa: PTH208 - half the time of Path.iterdir
                seen.append(f"left {left[0]} outside the folder")

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._watching and event.startswith(_WATCHED) and self._is_fault(event, arguments):
            self._seen.append(f"{event} {arguments!r:.200}")

    def _is_fault(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            return self._is_bad_open(*arguments)
        if event.startswith(_CHANGES_FILES):
            paths = [os.fsdecode(a) for a in arguments if isinstance(a, str | bytes | os.PathLike)]
            return not all(path.startswith(self._inside) for path in paths)
        # Imports and what they execute included: whatever reading needs was imported before, by
        # the seeds and the unwatched inputs that come first.
        return True

    def _is_bad_open(self, path: Any, mode: Any, flags: Any) -> bool:
        if isinstance(path, int):
            return False  # open already
        name = os.path.realpath(os.fsdecode(path))
        if name.startswith(self._inside):
            return False
        writes = bool(flags & _WRITES) if isinstance(flags, int) else "r" not in (mode or "r")
        return writes or not (self._reads_elsewhere or name.startswith(self._readable))
