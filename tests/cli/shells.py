"""Real shells on a pseudo-terminal, typed at as a person does."""

from __future__ import annotations

import os
import pty
import re
import select
import time
from collections.abc import Sequence
from pathlib import Path

TAB, EVERY = "\t", "\x1b*"
"""EVERY is how bash is asked to put in all that the cursor's word can become."""

_PATIENCE = 120.0  # seconds, for a shell that died


def completed(
    argv: Sequence[str], start: str, typed: Sequence[str], folder: Path, env: dict[str, str]
) -> list[str]:
    """What lines become that are typed with keys among them.

    Args:
        argv: the shell, to be interactive and to read no file of the user's.
        start: the command that makes it ready.
        typed: the lines, each to be shown instead of run.
        folder: where it runs.
        env: its environment.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.chdir(folder)
            os.execvpe(argv[0], list(argv), env)
        finally:
            os._exit(127)
    try:
        _type(terminal, f"{start}; echo READY$((3 + 4))\r", "\nREADY7\r")
        lines = []
        for number, line in enumerate(typed):
            # To the line's start, to its end, and run: the shell itself shows what it became.
            keys = f"{line}\x01echo '\x05' END{number}\r"
            # What echo printed, and not the command as it was typed, which may be shown alone yet.
            printed = rf"\n((?:(?!echo ')[^\n])*?) +END{number}\r"
            shown = _type(terminal, keys, printed)
            lines.append(re.findall(printed, shown)[-1].rstrip())
        return lines
    finally:
        os.write(terminal, b"\x03exit\r")
        os.close(terminal)
        os.waitpid(pid, 0)


def _type(terminal: int, keys: str, answer: str) -> str:
    """Type, and wait for what answers; all that was shown meanwhile."""
    os.write(terminal, keys.encode())
    shown = ""
    end = time.monotonic() + _PATIENCE
    while not re.search(answer, shown):
        ready, _, _ = select.select([terminal], [], [], end - time.monotonic())
        assert ready, f"no answer to {keys!r} but {shown!r}"
        shown += os.read(terminal, 1 << 16).decode(errors="replace")
    return shown
