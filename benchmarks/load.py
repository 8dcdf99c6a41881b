"""A load generator for HTTP, in a process of its own, that costs little beside what it measures.

    python benchmarks/load.py URL PICTURES... --seconds 10 --connections 64 [--rate N]

Without a rate, each connection sends its next request once it has the answer to the last: what the
server can do. With one, requests leave by the clock whatever becomes of them, as from many people
who do not know of each other; a request that finds every connection busy waits, and its waiting
counts. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

_TICK = 0.001


def main() -> None:
    """Send requests, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, help="requests a second; default: all that it takes")
    parser.add_argument("--count", type=int, help="stop after so many answers")
    arguments = parser.parse_args()
    place = urlsplit(arguments.url)
    requests = [request_for(place.netloc, place.path, path) for path in arguments.pictures]
    load = Load(requests, arguments.connections, arguments.count)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        address = (place.hostname, place.port)
        seconds = runner.run(load.run(address, arguments.seconds, arguments.rate))
    print(json.dumps(load.summary(seconds)))


def request_for(host: str, path: str, picture: Path) -> bytes:
    """The bytes of a request to predict one picture."""
    content = picture.read_bytes()
    kind = {".png": "png", ".webp": "webp"}.get(picture.suffix, "jpeg")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/{kind}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Load:
    """Sends requests over a number of connections, and counts the answers by status."""

    def __init__(self, requests: list[bytes], connections: int, count: int | None) -> None:
        self.requests = requests
        self.count = count
        self.connections = connections
        self.idle: list[Connection] = []
        self.due: deque[float] = deque()
        self.statuses: Counter[int] = Counter()
        self.broken = 0
        self.seconds: list[float] = []
        self.refused_seconds: list[float] = []
        self.closed_loop = True
        self.ending = False
        self._next = 0
        self._done = asyncio.Event()

    async def run(self, address: tuple[str, int], seconds: float, rate: float | None) -> float:
        """Send for so many seconds; how many passed until the last answer."""
        loop = asyncio.get_running_loop()
        self.closed_loop = rate is None
        connected = [
            await loop.create_connection(lambda: Connection(self), *address)
            for _ in range(self.connections)
        ]
        self.idle = [protocol for _, protocol in connected]
        start = time.perf_counter()
        if rate is None:
            for connection in self.idle:
                connection.ask(time.perf_counter())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._done.wait(), seconds)
        else:
            sent = 0
            while (passed := time.perf_counter() - start) < seconds:
                while sent < passed * rate:
                    self.due.append(start + sent / rate)
                    sent += 1
                self.hand_out()
                await asyncio.sleep(_TICK)
        self.ending = True
        passed = time.perf_counter() - start
        deadline = time.perf_counter() + 5
        while any(p.asked for _, p in connected) and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
        for transport, _ in connected:
            transport.abort()
        return passed

    def hand_out(self) -> None:
        """Give requests that are due to connections that are free."""
        while self.due and self.idle:
            self.idle.pop().ask(self.due.popleft())

    def request(self) -> bytes:
        """The next request."""
        self._next += 1
        return self.requests[self._next % len(self.requests)]

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer; those that come after the end do not count."""
        if self.ending:
            return
        self.statuses[status] += 1
        (self.seconds if status == 200 else self.refused_seconds).append(seconds)
        if self.count is not None and self.statuses.total() >= self.count:
            self._done.set()

    def summary(self, seconds: float) -> dict[str, object]:
        """Rates and latencies of what was answered."""
        answered = self.statuses[200]
        total = self.statuses.total()
        return {
            "seconds": seconds,
            "offered_per_second": total / seconds,
            "answered_per_second": answered / seconds,
            "shed_share": (total - answered) / total if total else 0.0,
            "p50_ms": 1000 * quantile(self.seconds, 0.50),
            "p99_ms": 1000 * quantile(self.seconds, 0.99),
            "refused_p50_ms": 1000 * quantile(self.refused_seconds, 0.50),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "broken_connections": self.broken,
            "never_sent": len(self.due),
        }


def quantile(values: list[float], share: float) -> float:
    """By the nearest rank; 0 where there is nothing."""
    return sorted(values)[int(share * (len(values) - 1))] if values else 0.0


class Connection(asyncio.Protocol):
    """One connection that is kept alive, with one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self.asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what the requests are written to."""
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Count a connection that the server ended."""
        if not self._load.ending:
            self._load.broken += 1
        self.asked = 0.0

    def ask(self, due: float) -> None:
        """Send a request that was due at a time."""
        self.asked = due
        self._transport.write(self._load.request())

    def data_received(self, data: bytes) -> None:
        """Take in an answer, and go on once it is whole."""
        received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        at = received.find(b"content-length: ", 0, end)
        if end < 0 or len(received) < end + 4 + int(received[at + 16 : received.find(b"\r", at)]):
            self._received = received
            return
        self._received = b""
        now = time.perf_counter()
        load = self._load
        load.answered(int(received[9:12]), now - self.asked)
        self.asked = 0.0
        if load.ending:
            return
        if load.closed_loop:
            self.ask(now)
        elif load.due:
            self.ask(load.due.popleft())
        else:
            load.idle.append(self)


if __name__ == "__main__":
    main()
