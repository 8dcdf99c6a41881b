"""Whether the server leaks: 100,000 requests, good, bad and hostile, and 1,000 connections.

    python benchmarks/serve_soak.py RUN [--requests 100000] [--connections 1000]

First a tenth of the requests, so that everything has been used once; then the rest, while
connections that say nothing are held open. The resident size after the first tenth and at the end
may differ by 5%; no answer may be a 5xx but 503; the server must stop with exit code 0.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

import report
from serve import Server, noise
from tenfold.run import load_run
from tenfold.serving.predictor import Predictor

_MOST_GROWTH = 0.05
_CLIENTS = 32


def main() -> None:
    """Send, compare, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=1000)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, arguments.connections + 500), hard))
    run = load_run(arguments.run)
    with tempfile.TemporaryDirectory() as folder:
        pictures = [
            path.read_bytes() for path in noise(Path(folder), Predictor(run.onnx_path).size)
        ]
    with (
        Server(str(run.path), ["--read-timeout", "5"]) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        first = runner.run(attack(server.url, pictures, arguments.requests // 10, 0))
        before = server.resident()
        rest = arguments.requests - arguments.requests // 10
        second = runner.run(attack(server.url, pictures, rest, arguments.connections))
        after = server.resident()
    statuses = first + second
    growth = after / before - 1
    titles = ["requests", "silent connections", "memory after a tenth, MB", "at the end, MB"]
    cells = [f"{statuses.total():,}", f"{arguments.connections:,}"]
    cells += [f"{before / 1e6:,.1f}", f"{after / 1e6:,.1f}", f"{growth:+.1%}"]
    markdown = report.table([*titles, "growth"], [cells])
    measured = {"before": before, "after": after, "growth": growth}
    report.save("serve_soak", markdown, {**measured, "statuses": dict(sorted(statuses.items()))})
    wrong = [status for status in statuses if status >= 500 and status != 503]
    if growth > _MOST_GROWTH or wrong:
        sys.exit(f"grew by {growth:+.1%}, 5xx: {wrong}")


async def attack(url: str, pictures: list[bytes], count: int, silent: int) -> Counter[int]:
    """Send requests over several connections, beside some that say nothing; answers by status."""
    place = urlsplit(url)
    held = [
        await asyncio.open_connection(place.hostname, place.port) for _ in range(silent)
    ]  # the server lets them go in its own time
    statuses: Counter[int] = Counter()
    remaining = iter(range(count))

    async def client(seed: int) -> None:
        choice = random.Random(seed)
        reader = writer = None
        for _ in remaining:
            if writer is None:
                reader, writer = await asyncio.open_connection(place.hostname, place.port)
            try:
                writer.write(request(choice, pictures))
                status, closes = await asyncio.wait_for(answer(reader), 60)
            except (ConnectionError, asyncio.IncompleteReadError):
                status, closes = 0, True  # cut off, as some of these deserve
            statuses[status] += 1
            if closes:
                writer.close()
                writer = None
        if writer is not None:
            writer.close()

    await asyncio.gather(*(client(seed) for seed in range(_CLIENTS)))
    for _, writer in held:
        writer.close()
    return statuses


def request(choice: random.Random, pictures: list[bytes]) -> bytes:
    """One request: mostly good, else wrong in one of many ways."""
    picture = choice.choice(pictures)
    kind = choice.random()
    if kind < 0.7:
        return post(picture)
    if kind < 0.75:
        parts = b"".join(
            b'--x\r\nContent-Disposition: form-data; name="p"; filename="p"\r\n\r\n%b\r\n' % one
            for one in choice.sample(pictures, 3)
        )
        return post(parts + b"--x--\r\n", b"multipart/form-data; boundary=x")
    if kind < 0.78:
        return post(picture, path=b"/v1/explain")
    bad = [
        post(picture[: choice.randrange(1, len(picture))]),
        post(choice.randbytes(choice.randrange(1, 3000))),
        post(choice.randbytes(500), b"multipart/form-data; boundary=x"),
        post(picture, b"text/plain"),
        post(b""),
        post(picture, path=b"/v1/predict?top=%b" % choice.randbytes(4).hex().encode()),
        post(picture, path=b"/" + choice.randbytes(20).hex().encode()),
        b"GET /v1/model HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        b"Content-Length: 99999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        choice.randbytes(200) + b"\r\n\r\n",
    ]
    return choice.choice(bad)


def post(body: bytes, kind: bytes = b"image/jpeg", path: bytes = b"/v1/predict") -> bytes:
    """A request with a body."""
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (path, kind, len(body)) + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status of the next answer, and whether the connection closes after it."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0] or 0)
    await reader.readexactly(length)
    return int(head[9:12]), b"connection: close" in head


if __name__ == "__main__":
    main()
