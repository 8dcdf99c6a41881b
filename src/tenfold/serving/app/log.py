"""One line a request on stderr, as JSON or for people.

Lines are gathered for a moment and written by a thread. A terminal that is scrolled back, or a pipe
that nobody reads, then holds up no request; lines beyond what memory should hold are dropped, and
counted.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from datetime import UTC, datetime
from typing import Any, Literal

Format = Literal["json", "text"]

_MOST = 20_000
"""Lines that wait to be written, at most."""

_PAUSE = 0.1
"""Seconds that lines are gathered for."""


class Log:
    """Writes structured lines.

    Args:
        form: ``json``, one object a line; or ``text``.
        descriptor: where to; stderr.
    """

    def __init__(self, form: Format, descriptor: int = 2) -> None:
        self._render = _as_json if form == "json" else _as_text
        self._descriptor = descriptor
        self._facts: deque[dict[str, Any]] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def line(self, event: str, **facts: Any) -> None:
        """Write a line, soon. Never waits, and never fails."""
        if len(self._facts) >= _MOST:
            self._dropped += 1
            return
        self._facts.append({"time": _now(), "event": event, **facts})
        if not self._wake.is_set():
            self._wake.set()

    def close(self, seconds: float = 2.0) -> None:
        """Write what is left, if that is possible within so many seconds."""
        self._ending = True
        self._wake.set()
        self._thread.join(seconds)

    def _work(self) -> None:
        pause = threading.Event()
        while True:
            self._wake.wait()
            if not self._ending:
                pause.wait(_PAUSE)
            self._wake.clear()
            self._flush()
            if self._ending and not self._facts:
                return

    def _flush(self) -> None:
        facts = [self._facts.popleft() for _ in range(len(self._facts))]
        if self._dropped:
            facts.append({"time": _now(), "event": "log lines dropped", "count": self._dropped})
            self._dropped = 0
        text = memoryview("".join(map(self._render, facts)).encode(errors="backslashreplace"))
        try:
            while text:
                text = text[os.write(self._descriptor, text) :]
        except OSError:
            pass  # whoever read the log is gone, and there is nowhere else to say so


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _as_json(facts: dict[str, Any]) -> str:
    return json.dumps(facts) + "\n"


def _as_text(facts: dict[str, Any]) -> str:
    facts = dict(facts)
    moment, event = facts.pop("time")[11:19], facts.pop("event")
    words = [moment]
    if event == "request":
        words += [facts.pop("method"), facts.pop("path"), str(facts.pop("status"))]
        words.append(f"{facts.pop('ms'):g} ms")
    else:
        words.append(event)
    words += [f"{name}={value}" for name, value in facts.items()]
    # What a client chose may hold what would command a terminal.
    line = " ".join(words)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) + "\n"
