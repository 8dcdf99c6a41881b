"""Being asked to stop: by Ctrl-C, by SIGTERM, or by whoever else holds the request."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM came. It passes wherever Ctrl-C would, so that the same things are tidied up."""


class TrainingStopped(Exception):  # noqa: N818  # it was asked for, and nothing is wrong
    """Raised by `tenfold.training.fit.fit` where it stopped before its end, its work saved.

    Attributes:
        reason: see `Stop.reason`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Stop:
    """A request to stop a training at the next safe point.

    Attributes:
        reason: why to stop, ``SIGINT``, ``SIGTERM`` or any other word; None: go on.
        began: whether there was ever work to save, see `deferred`.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.began = False
        self._deferred = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM as requests, from within the main thread; elsewhere do nothing.

        Within `deferred` the first one is noted, to be heeded at the next safe point, and a second
        one raises. Outside of it each raises at once. A signal that is ignored stays ignored.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            Terminated: SIGTERM.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        taken = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
        try:
            for number in taken:
                signal.signal(number, self._receive)
            yield
        finally:
            for number in taken:
                signal.signal(number, before[number])

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """While there is work that a stop must save first."""
        self.began = self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._deferred and self.reason is None:
            self.reason = signal.Signals(number).name
            return
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
