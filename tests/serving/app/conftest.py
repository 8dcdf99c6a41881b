"""A server in this process, without a socket; and one in a process of its own, with one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tenfold.files import atomic_write_json
from tenfold.run import Run
from tenfold.serving.app import Batching, Limits, Options, Served, load
from tenfold.serving.app.log import Log
from tenfold.serving.app.server import Parts, assemble

from ..colours import write_run

SIZE = 8
"""Side of the pictures that the test model takes."""

Talk = Callable[[httpx.AsyncClient], Awaitable[Any]]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose model says which colour a picture has; shared, so nobody may change it."""
    run = write_run(tmp_path_factory.mktemp("served") / "colours", size=SIZE)
    test = {"accuracy": 0.75, "interval": [0.5, 0.875], "count": 12, "correct": 9}
    atomic_write_json(run.result_path, {"test": test})
    return run


@pytest.fixture(scope="session")
def served(run: Run) -> Served:
    """The same as the server sees it."""
    return load(run)


@contextmanager
def assembled(served: Served, log: Path = Path(os.devnull), **options: Any) -> Iterator[Parts]:
    """A server without a socket, which logs to a file."""
    settings = Options(**{"batching": Batching(wait_seconds=0), **options})
    with log.open("wb") as file:
        parts = assemble(served, settings, "127.0.0.1", Log("json", file.fileno()))
        try:
            yield parts
        finally:
            parts.close()


def talk(parts: Parts, conversation: Talk) -> Any:
    """What a conversation with the app comes to; its event loop is the conversation's own."""

    async def hold() -> Any:
        transport = httpx.ASGITransport(parts.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", trust_env=False
        ) as client:
            return await conversation(client)

    return asyncio.run(hold())


class Client:
    """Asks an assembled server, one request at a time."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer to one request."""
        answer = talk(self.parts, lambda client: client.request(method, path, **options))
        assert isinstance(answer, httpx.Response)
        return answer


_SMALL = Limits(body=100_000, pixels=90_000, pictures=3, requests=4)


@pytest.fixture(scope="session")
def ask(served: Served) -> Iterator[Client]:
    """Asks a server with small limits; shared, because it takes a moment to put together."""
    with assembled(served, limits=_SMALL) as parts:
        yield Client(parts)


@pytest.fixture
def ask_anew(served: Served) -> Iterator[Client]:
    """Asks a server like it that nobody has asked before."""
    with assembled(served, limits=_SMALL) as parts:
        yield Client(parts)


def refused(answer: httpx.Response, status: int) -> str:
    """The line of an answer that must be a problem of a status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    detail = problem["detail"]
    assert isinstance(detail, str)
    assert detail
    assert "\n" not in detail
    assert "Traceback" not in answer.text
    return detail


@dataclass
class Server:
    """`tenfold serve` in a process of its own.

    Attributes:
        process: of the server.
        url: where it is.
        run: what it serves.
        log_path: what it has written on stderr.
    """

    process: subprocess.Popen[bytes]
    url: str
    run: Path
    log_path: Path

    @property
    def address(self) -> tuple[str, int]:
        """Of its socket."""
        place = urlsplit(self.url)
        assert place.hostname is not None
        assert place.port is not None
        return place.hostname, place.port

    def connect(self, seconds: float = 20.0) -> socket.socket:
        """A connection, on which nothing waits longer than that."""
        return socket.create_connection(self.address, seconds)

    def exchange(self, sent: bytes, seconds: float = 20.0) -> bytes:
        """Send bytes, and read until the server closes."""
        with self.connect(seconds) as connection:
            connection.sendall(sent)
            return read_all(connection)

    def resident(self) -> int:
        """Resident size in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to stop, and wait; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def log(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        return [json.loads(line) for line in self.log_path.read_text("utf-8").splitlines()]


@contextmanager
def serving(run: Path, folder: Path, *options: str) -> Iterator[Server]:
    """Start ``tenfold serve`` on a free port; it is stopped at the end, where it has not been."""
    log_path = folder / "log.jsonl"
    command = [sys.executable, "-m", "tenfold", "serve", str(run), "--port", "0", "--json"]
    with log_path.open("wb") as log:
        process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        printed = b""
        for line in process.stdout:  # ends where the server does
            printed += line
            if line == b"}\n":
                break
        assert printed, log_path.read_text("utf-8")
        yield Server(process, json.loads(printed)["url"], run, log_path)
    finally:
        process.kill()
        process.communicate()


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass  # closed with bytes of ours unread
    return b"".join(parts)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """The next answer on a connection that stays open."""
    received = b""
    while b"\r\n\r\n" not in received or len((found := answers(received))[0][2]) < int(
        found[0][1]["content-length"]
    ):
        part = connection.recv(65536)
        assert part, received
        received += part
    return found[0]


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for what must come to hold; fails where it does not."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def head(method: str, path: str, **headers: str) -> bytes:
    """The head of a request."""
    fields = {
        "Host": "localhost",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def post(
    content: bytes, path: str = "/v1/predict", kind: str = "image/png", **headers: str
) -> bytes:
    """A request with a body."""
    length = str(len(content))
    return head("POST", path, Content_Type=kind, Content_Length=length, **headers) + content


def answers(received: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Status, headers and body of each answer in what was received."""
    found = []
    while received:
        top, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        length = int(fields.get("content-length", "0"))
        found.append((int(first.split()[1]), fields, rest[:length]))
        received = rest[length:]
    return found
