"""What the server accepts before it refuses: every limit in one place, with its default."""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.data.decode import MAX_PIXELS

KIB, MIB = 2**10, 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on one request, on one connection, and on all of them together.

    Attributes:
        body: bytes of one request's body; past it, 413.
        pixels: width times height that a picture may declare, looked at before it is decoded; past
            it, 413.
        pictures: pictures in one request; past it, 413.
        requests: requests that are being worked on at a time; past it, 429. Requests whose body is
            still on its way do not count, so that slow senders keep nobody out.
        buffered: bytes of all bodies that are held at a time; past it, 503.
        connections: connections at a time; past it, whoever has kept the server waiting longest is
            let go, and where nobody has, the new one gets 503.
        headers: bytes of a request's line and headers, trailers included; past it, 431.
        read_seconds: for a request to arrive whole; past it, 408.
        answer_seconds: from then to the answer; past it, 503.
        stop_seconds: for the requests in flight when the server is told to stop.
    """

    body: int = 16 * MIB
    pixels: int = MAX_PIXELS
    pictures: int = 32
    requests: int = 64
    buffered: int = 256 * MIB
    connections: int = 1000
    headers: int = 16 * KIB
    read_seconds: float = 20.0
    answer_seconds: float = 10.0
    stop_seconds: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """How pictures of several requests are put through the model together.

    Attributes:
        pictures: the most pictures in a batch.
        wait_seconds: how long a picture waits for others while the model is idle.
        threads: batches that are computed at a time, each on one core.
    """

    pictures: int = 16
    wait_seconds: float = 0.002
    threads: int = 1
