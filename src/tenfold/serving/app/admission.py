"""How many requests, and how many bytes of them, are taken on at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tenfold.serving.app.limits import Limits
from tenfold.serving.app.problems import busy, overloaded


class Admission:
    """Counts of what is in hand. Used from the event loop alone, so that it needs no lock.

    Attributes:
        working: requests that are being worked on.
        buffered: bytes of bodies that are held.
        stopping: whether the server has been told to stop.
        turned_away: requests that were refused before they were read, by path, and are not told of
            yet.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.working = 0
        self.buffered = 0
        self.stopping = False
        self.turned_away: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        """Whether one more request would be refused."""
        return self.working >= self.limits.requests

    @contextmanager
    def work(self, places: int) -> Iterator[None]:
        """Hold places among the requests that are worked on.

        Args:
            places: how many requests this one counts for; all there are, where that is fewer.

        Raises:
            ProblemError: so many are not free.
        """
        places = min(places, self.limits.requests)
        if self.working + places > self.limits.requests:
            raise busy()
        self.working += places
        try:
            yield
        finally:
            self.working -= places

    @contextmanager
    def buffer(self) -> Iterator[Buffer]:
        """Hold the bytes of one body, until they are no longer needed."""
        buffer = Buffer(self)
        try:
            yield buffer
        finally:
            buffer.release()


class Buffer:
    """The bytes of one body, counted among those of all."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._held = 0

    def grow(self, count: int) -> None:
        """Hold so many bytes more.

        Raises:
            ProblemError: all bodies together would take too much memory.
        """
        if self._admission.buffered + count > self._admission.limits.buffered:
            raise overloaded("the bodies of other requests take all the memory", close=True)
        self._admission.buffered += count
        self._held += count

    def release(self) -> None:
        """Hold nothing."""
        self._admission.buffered -= self._held
        self._held = 0
