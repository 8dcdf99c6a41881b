"""The outermost layer of the app: what holds for every request, whatever its path.

It is ASGI itself, and hands the paths where the work is done straight to what does it: FastAPI's
routing and parsing cost as much as the model, for small pictures.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tenfold.serving.app.admission import Admission
from tenfold.serving.app.body import DisconnectedError
from tenfold.serving.app.hosts import Hosts
from tenfold.serving.app.log import Log
from tenfold.serving.app.metrics import Metrics
from tenfold.serving.app.problems import ProblemError, our_fault, overloaded

_PROCESS = secrets.token_hex(4)
_numbers = itertools.count(1)
_REQUEST_ID = re.compile(rb"[\w.:-]{1,64}", re.ASCII)
_LONGEST_PATH = 200

# A page that shows pictures of the user's own sets its own content security policy.
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass(slots=True)
class Exchange:
    """One request and what is known of its answer; handlers find it in the scope.

    Attributes:
        id: what the client calls the request, or a name made up for it.
        status: of the answer; 0 before it.
        pictures: how many were predicted.
    """

    id: str
    status: int = 0
    pictures: int = 0


class Gate:
    """The whole app.

    Args:
        app: what answers the requests that are let in.
        work: by path, what answers POST requests that take work, and so are limited in number.
        admission: counts them.
        hosts: the names that the server answers to.
        metrics: told of every answer.
        log: likewise.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        work: Mapping[str, ASGIApp],
        admission: Admission,
        hosts: Hosts,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._app = app
        self._work = work
        self._admission = admission
        self._hosts = hosts
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return  # no WebSockets here, and nothing to do at the start or end
        path = scope["path"]
        work = self._work.get(path) if scope["method"] == "POST" else None
        start = time.perf_counter()
        exchange = Exchange(_request_id(scope))
        scope["tenfold"] = exchange
        answer = _Answer(send, exchange)
        try:
            self._hosts.check(scope["headers"])
            await (work or self._app)(scope, receive, answer.send)
        except ProblemError as problem:
            await answer.refuse(problem)
        except DisconnectedError:
            exchange.status = exchange.status or 499  # as nginx has it; nobody reads it but the log
        except asyncio.CancelledError:
            await answer.refuse(overloaded("the server stops", close=True))
        except Exception:
            self._log.line("error", request=exchange.id, traceback=traceback.format_exc())
            await answer.refuse(our_fault(exchange.id))
        seconds = time.perf_counter() - start
        self._metrics.answered(path, exchange.status, seconds)
        if exchange.pictures:
            self._metrics.predicted(exchange.pictures)
        self._log.line(
            "request",
            method=scope["method"],
            path=path[:_LONGEST_PATH],
            status=exchange.status,
            ms=round(1000 * seconds, 2),
            pictures=exchange.pictures,
            request=exchange.id,
        )

    def report(self) -> None:
        """Count and log what was turned away since the last call; due once a second."""
        for path, count in self._admission.turned_away.items():
            self._metrics.turned_away(path, 429, count)
            self._log.line("turned away", path=path, status=429, count=count)
        self._admission.turned_away.clear()


class _Answer:
    """Sends the answer, and adds to its headers."""

    def __init__(self, send: Send, exchange: Exchange) -> None:
        self._send = send
        self._exchange = exchange

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._exchange.status = message["status"]
            headers = list(message["headers"])
            headers += _SECURITY
            if not any(name == b"content-security-policy" for name, _ in headers):
                headers.append(_POLICY)
            headers.append((b"x-request-id", self._exchange.id.encode()))
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, problem: ProblemError) -> None:
        """Say why there is no answer; where one has begun, it is cut off by the server."""
        if self._exchange.status:
            return
        start: Message = {
            "type": "http.response.start",
            "status": problem.status,
            "headers": problem.raw_headers(),
        }
        await self.send(start)
        await self._send({"type": "http.response.body", "body": problem.body()})


def _request_id(scope: Scope) -> str:
    """The client's own, where it is a plain word."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return f"{_PROCESS}-{next(_numbers):x}"
