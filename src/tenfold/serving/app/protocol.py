"""Limits that hold before there is a request: on connections, headers, slow senders, and load.

uvicorn reads HTTP with httptools, in C. It waits for a request for ever, and reads headers without
end; both are bounded here, on top of its protocol.

When more arrives than can be worked on, saying no is most of what the server does, and whatever it
costs is taken from the answers. So it is said here, once the headers are read, in bytes made
beforehand, without a task or an app; the body is thrown away as it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, ClassVar

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tenfold.serving.app.admission import Admission
from tenfold.serving.app.log import Log
from tenfold.serving.app.metrics import Metrics
from tenfold.serving.app.problems import ProblemError, busy, overloaded

_PATIENCE = 1.0
"""Seconds that a connection may keep us waiting before it can be let go for another."""

_SPARE = 5.0
"""Seconds after its last limit that a connection is cut, where the app has not seen to it."""


_PIECE = 1024
_MOST_PIPELINED = 64
"""Requests that one connection may send before it has its answers cost memory at once, a hundred
times their own bytes, and a read brings thousands. So what arrives is parsed in pieces, as long as
answers are not owed; and few enough fit in a piece that an honest client never meets the limit."""


class Guard:
    """What the connections of one server share.

    Args:
        admission: knows whether there is room, and what the limits are.
        work: paths whose POST requests are worked on, and refused where there is no room.
        metrics: told of what is refused.
        log: told of it once a second.
    """

    def __init__(
        self, admission: Admission, work: Iterable[str], metrics: Metrics, log: Log
    ) -> None:
        self.admission = admission
        self.limits = admission.limits
        self._work = {path.encode(): path for path in work}
        self._metrics = metrics
        self._log = log
        self._counts: dict[str, int] = {}
        self.connections: set[GuardedProtocol] = set()

    def refused(self, reason: str) -> None:
        """Count a refusal; it is told at the next `sweep`."""
        self._counts[reason] = self._counts.get(reason, 0) + 1

    def turns_away(self, method: bytes, url: bytes) -> bool:
        """Whether there is no room for a request, which is then counted as refused."""
        if not self.admission.full or method != b"POST":
            return False
        path = self._work.get(url.partition(b"?")[0])
        if path is None:
            return False
        self.admission.turned_away[path] += 1
        return True

    def make_room(self, now: float) -> bool:
        """Let go whoever has kept us waiting longest; whether there was one."""
        waiting = [
            (connection.waiting_since, connection)
            for connection in self.connections
            if connection.waiting_since is not None and now - connection.waiting_since >= _PATIENCE
        ]
        if not waiting:
            return False
        min(waiting, key=lambda pair: pair[0])[1].cut()
        self.refused("slow connection")
        return True

    def sweep(self, now: float) -> None:
        """Cut connections that are past their time, and tell what was refused; once a second."""
        for connection in list(self.connections):
            if connection.overdue(now):
                connection.cut()
                self.refused("slow connection")
        for reason, count in self._counts.items():
            self._metrics.refused(reason, count)
            self._log.line("refused", reason=reason, count=count)
        self._counts.clear()


class _Flow(FlowControl):
    """uvicorn's, except that reading does not resume while what was read is not parsed."""

    _held = False

    def hold(self) -> None:
        """Read no more."""
        self._held = True
        self.pause_reading()

    def let_go(self) -> None:
        """Read on, where uvicorn does."""
        if self._held:
            self._held = False
            self.resume_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if not self._held:
            super().resume_reading()


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which gives up on clients that give it too much or too little.

    Attributes:
        guard: what is shared with the other connections.
        waiting_since: when the request began that has not arrived whole, or that the next one is
            waited for, on the loop's clock; None while nothing is waited for.
    """

    guard: ClassVar[Guard]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waiting_since: float | None = self.loop.time()
        self._unsent_since: float | None = None
        self._in_headers = True
        self._header_bytes = 0  # of this request, by the fields that were parsed
        self._raw_bytes = 0  # that arrived since the last whole field, of whatever kind
        self._too_large = False
        self._turned_away = False
        self._body_left = 0  # bytes of the body that are still to come, where that is known
        self._unparsed = b""
        self._parsed = 0  # bytes of it that are parsed after all
        self._answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection on, or refuse it."""
        super().connection_made(transport)
        self.flow = self._flow = _Flow(transport)
        guard = self.guard
        guard.connections.add(self)
        if len(guard.connections) > guard.limits.connections and not guard.make_room(
            self.loop.time()
        ):
            guard.refused("connections")
            self._answer_and_close(overloaded("too many connections", close=True))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.guard.connections.discard(self)
        self._forget_answers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, as far as answers are not owed."""
        self._unparsed = self._unparsed[self._parsed :] + data if self._unparsed else data
        self._parsed = 0
        self._parse()

    def _parse(self) -> None:
        """Parse in pieces; reading pauses while something is left."""
        while not self.pipeline and not self.transport.is_closing():
            start = self._parsed
            if start >= len(self._unparsed):
                self._unparsed, self._parsed = b"", 0
                self._flow.let_go()
                return
            end = start + max(_PIECE, self._body_left)
            self._parsed = end
            piece = self._unparsed[start:end]
            self._raw_bytes += len(piece)
            super().data_received(piece)
            # A single field without end is never whole, so that its bytes are counted as they come.
            if self._in_headers and self._raw_bytes > self.guard.limits.headers + _PIECE:
                self._refuse_headers()
        self._flow.hold()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.waiting_since = self.loop.time()
        self._in_headers = True
        self._header_bytes = self._raw_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the path."""
        self._count_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A whole header, or a trailer after a chunked body."""
        self._raw_bytes = 0
        self._count_header(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The body follows; the app reads it, or nobody."""
        self._in_headers = False
        self._raw_bytes = 0
        if len(self.pipeline) == _MOST_PIPELINED:
            raise ValueError("too many requests in a piece")  # see send_400_response
        self._body_left = self._declared_length()
        # What comes behind another request on its connection is answered in turn, by the app.
        alone = self.cycle is None or self.cycle.response_complete
        if alone and self.guard.turns_away(self.parser.get_method(), self.url):
            self._turned_away = True
            self.transport.write(_TURNED_AWAY)
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body_left -= len(body)
        if not self._turned_away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is here whole."""
        self.waiting_since = None
        self._body_left = 0
        if self._turned_away:
            self._turned_away = False
            self._wait_for_next()
            if not self.parser.should_keep_alive() or self.guard.admission.stopping:
                self.transport.close()
            return
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is sent; the next request is waited for."""
        if self.waiting_since is None and not self.pipeline:
            self._wait_for_next()
        super().on_response_complete()
        if self._unparsed and not self.pipeline:
            self.loop.call_soon(self._parse)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or has too large headers."""
        if self._too_large:
            most = self.guard.limits.headers
            self.guard.refused("headers")
            detail = f"the headers are larger than {most:,} bytes; send fewer or shorter ones"
            self._answer_and_close(ProblemError(431, detail, close=True))
            return
        self.guard.refused("malformed")
        self._answer_and_close(
            ProblemError(400, "this is not HTTP as the server knows it", close=True)
        )

    def overdue(self, now: float) -> bool:
        """Whether there is no more point in waiting for this client."""
        limits = self.guard.limits
        if self.transport.get_write_buffer_size():
            # It does not read what it asked for.
            self._unsent_since = self._unsent_since or now
            if now - self._unsent_since > limits.read_seconds:
                return True
        else:
            self._unsent_since = None
        if self.waiting_since is None:
            return False
        allowed = limits.read_seconds
        if not self._in_headers:
            # The app answers slow bodies; one behind another request also waits for that one.
            allowed += limits.answer_seconds + _SPARE
        return now - self.waiting_since > allowed

    def cut(self) -> None:
        """End the connection now, whatever is under way."""
        self.guard.connections.discard(self)
        self._forget_answers()
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _forget_answers(self) -> None:
        """Let nothing more be written. uvicorn itself tells only the last of several requests."""
        self.pipeline.clear()
        self._unparsed, self._parsed = b"", 0
        for cycle in (self._answering, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def _declared_length(self) -> int:
        for name, value in self.headers:
            if name == b"content-length":
                return int(value)  # the parser has made sure that it is a number
        return 0

    def _wait_for_next(self) -> None:
        self.waiting_since = self.loop.time()
        self._in_headers = True
        self._raw_bytes = 0

    def _count_header(self, count: int) -> None:
        self._header_bytes += count
        if self._header_bytes > self.guard.limits.headers:
            self._too_large = True
            raise ValueError("headers too large")  # ends the parsing: see send_400_response

    def _refuse_headers(self) -> None:
        self._too_large = True
        self.send_400_response("")

    def _answer_and_close(self, problem: ProblemError) -> None:
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.cut()  # anything written now would become part of that answer
            return
        self.transport.write(_as_bytes(problem))
        self.transport.close()


def _as_bytes(problem: ProblemError) -> bytes:
    """The whole answer."""
    lines = [b"HTTP/1.1 %d %s" % (problem.status, problem.value()["title"].encode())]
    lines += [b"%s: %s" % header for header in problem.raw_headers()]
    return b"\r\n".join([*lines, b"", problem.body()])


_TURNED_AWAY = _as_bytes(busy())


def guarded(guard: Guard) -> type[GuardedProtocol]:
    """The protocol of one server, as uvicorn takes it: a class."""
    return type("Guarded", (GuardedProtocol,), {"guard": guard})
