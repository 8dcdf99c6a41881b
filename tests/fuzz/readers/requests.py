"""Requests with pictures, as the app takes them from whoever speaks HTTP; no socket has a part."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tenfold.errors import TenfoldError
from tenfold.serving.app.limits import Batching, Limits
from tenfold.serving.app.log import Log
from tenfold.serving.app.schemas import TestResult
from tenfold.serving.app.served import Served
from tenfold.serving.app.server import Options, assemble

from ..mutation import NUMBERS, TEXTS, damaged
from ..reader import File, Reader
from .pictures import encode

SIZE, CLASSES = 8, ("cat", "dog", "é")
_PATHS = (
    "/v1/predict",
    "/v1/predict",
    "/v1/predict",
    "/v1/explain",
    "/v1/model",
    "/",
    "/metrics",
    "/openapi.json",
    "/x",
)
_MULTIPART = "multipart/form-data; boundary=x"
_KINDS = ("image/png", "image/jpeg", "image/*", "IMAGE/PNG;q=1", "application/octet-stream", "text/plain", "", ";", "é",
          "application/json", "multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="x',
          "multipart/form-data; boundary=" + "x" * 300, "multipart/mixed; boundary=x", _MULTIPART, _MULTIPART,
          "multipart/form-data; boundary*=utf-8''x", "multipart/form-data; boundary=\x00", "multipart/form-data; boundary=--")  # fmt: skip
_QUERIES = ("", "", "", "top=2", "top=0", "top=-1", "top=1e9", "top=999999999", "top=%", "top=1&top=2", "top=%ff", "top",
            "&" * 99, "a=1;b=2", "top=\u0661", "top=+1", "=")  # fmt: skip
_HEADERS = (
    "name; filename=x", 'form-data; name="p"; filename="a.png"', "form-data; filename=\"", "form-data",
    "form-data; filename*=utf-8''%ff%00", 'form-data; filename="../../x"', "form-data; filename=\udcff", "form-data; name=",
    'form-data; filename="' + "x" * 5000 + '"', "", ";;;=;", 'form-data; filename="\\"', "form-data; filename*0=a; filename*1=b",
)  # fmt: skip


class _Model:
    """Answers by the brightness of the picture."""

    class_names, size = CLASSES, SIZE

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        light = pixels.reshape(len(pixels), -1, 3).mean(axis=1, dtype=np.float32) + 1
        shares: np.ndarray = light / light.sum(axis=1, keepdims=True)
        return shares


@cache
def _server() -> tuple[Any, asyncio.Runner]:
    """The whole app without a socket, and the loop that its requests share."""
    test = TestResult(accuracy=0.5, interval=[0.4, 0.6], pictures=9)
    versions = {"tenfold": "1", "python": "3"}
    served = Served(name="run", recipe="lab-1", model=_Model(), test=test, versions=versions)
    limits = Limits(body=100_000, pixels=90_000, pictures=3, requests=4, read_seconds=2)
    log = Log("text", os.open(os.devnull, os.O_WRONLY))
    options = Options(limits=limits, batching=Batching(wait_seconds=0))
    return assemble(served, options, "127.0.0.1", log).app, asyncio.Runner()


def part(header: bytes, content: bytes) -> bytes:
    """A part of a multipart body."""
    return b"--x\r\nContent-Disposition: " + header + b"\r\n\r\n" + content + b"\r\n"


def _request(head: dict[str, Any], body: bytes) -> File:
    """What `_read` takes apart: a line of JSON, and the body."""
    return File("request", json.dumps(head).encode() + b"\n" + body)


def _seeds() -> list[File]:
    pictures = [encode("PNG"), encode("JPEG"), encode("GIF", "P"), encode("WEBP"), encode("BMP")]
    name = b'form-data; name="p"; filename="a.png"'
    raw = [_request({"type": "image/png"}, picture) for picture in pictures]
    several = [
        _request({"type": _MULTIPART}, b"".join(part(name, one) for one in some) + b"--x--\r\n")
        for some in (pictures[:1], pictures[1:4])
    ]
    return [*raw, *several, _request({"type": "image/png", "path": "/v1/explain"}, pictures[0])]


def _mutate(rng: Random, seeds: Sequence[File]) -> File:
    others = [seed.content.partition(b"\n")[2] for seed in seeds]
    line, _, body = rng.choice(seeds).content.partition(b"\n")
    head = json.loads(line)
    for _ in range(rng.choice((1, 1, 2, 3))):
        match rng.randrange(8):
            case 0:
                head["type"] = rng.choice(_KINDS)
            case 1:
                head["query"] = rng.choice((*_QUERIES, f"top={rng.choice(NUMBERS)}"))
            case 2:
                head["path"] = rng.choice(_PATHS)
                head["method"] = rng.choice(("POST", "POST", "GET", "HEAD", "PUT", "é"))
            case 3:
                name = rng.choice(
                    ("content-length", "content-encoding", "host", "x-request-id", "expect")
                )
                text = rng.choice((*TEXTS, "gzip", "identity", "0", "999999999999"))
                # A length that is no number is refused by the parser before.
                if name != "content-length" or (text.isascii() and text.isdecimal()):
                    head.setdefault("headers", []).append([name, text])
            case 4:
                header = rng.choice(_HEADERS).encode("utf-8", "surrogateescape")
                body = part(header, rng.choice(others)) + body
                head["type"] = _MULTIPART
            case 5:
                cut = rng.randrange(len(body) + 1)
                head["chunks"] = rng.choice(([cut], [0, cut], [1] * 50, [cut, 0, 0]))
                head["gone"] = rng.random() < 0.1
            case 6:
                piece = rng.choice(
                    (
                        b"\r\n",
                        b"--x\r\n",
                        b"--x--",
                        b"\n",
                        b"--",
                        b"\r",
                        b"\0",
                        b"A: b\r\n",
                        b": \r\n",
                    )
                )
                at = rng.randrange(len(body) + 1)
                body = body[:at] + piece * rng.choice((1, 2, 1000)) + body[at:]
            case _:
                body = damaged(rng, body, others)
    return _request(head, body)


def _read(file: File, _: Path) -> None:
    line, _, body = file.content.partition(b"\n")
    try:
        head = json.loads(line)
        scope, messages = _scope(head), _messages(head, body)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise TenfoldError("its first line does not say what is asked") from None
    app, runner = _server()
    status, answer = runner.run(_ask(app, scope, messages))
    if head.get("gone") and not status:
        return
    assert 200 <= status < 500, (status, answer)
    assert b"Traceback" not in answer, answer
    if status >= 400 and scope["method"] != "HEAD":
        problem = json.loads(answer)
        assert problem["status"] == status
        raise TenfoldError(problem["detail"])


def _scope(head: dict[str, Any]) -> dict[str, Any]:
    """As ASGI has it, of what the server's parser lets through."""
    path = head.get("path", "/v1/predict")
    headers = [["host", "localhost"], ["content-type", head["type"]], *head.get("headers", [])]
    for name, value in headers:
        if name == "content-length" and not re.fullmatch(r"[0-9]{1,19}", value):
            raise ValueError("the parser refuses such a length")
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
        "method": str(head.get("method", "POST")), "path": path, "raw_path": path.encode(),
        "query_string": head.get("query", "").encode(), "client": ("127.0.0.1", 9), "server": ("127.0.0.1", 8000),
        "headers": [(name.encode(), value.encode("utf-8", "surrogatepass")) for name, value in headers],
    }  # fmt: skip


def _messages(head: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
    """The body in pieces; the last is missing where the client is gone."""
    messages = []
    for size in head.get("chunks", []):
        messages.append({"type": "http.request", "body": body[:size], "more_body": True})
        body = body[size:]
    if not head.get("gone"):
        messages.append({"type": "http.request", "body": body, "more_body": False})
    return messages


async def _ask(
    app: Any, scope: dict[str, Any], messages: list[dict[str, Any]]
) -> tuple[int, bytes]:
    """The status, 0 where there was none, and the body of the answer."""
    waiting = iter(messages)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(waiting, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    statuses = [message["status"] for message in sent if message["type"] == "http.response.start"]
    content = b"".join(message.get("body", b"") for message in sent)
    return (statuses[0] if statuses else 0), content


READERS = (Reader("request", _seeds, _mutate, _read, 2),)
