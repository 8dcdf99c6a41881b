"""From a run to a server: its socket, its event loop, and how it stops."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import uvicorn
import uvloop

from tenfold.errors import TenfoldError
from tenfold.serving.app.admission import Admission
from tenfold.serving.app.api import EXPLAIN, OTHERS, PREDICT, create_api
from tenfold.serving.app.batching import Batcher
from tenfold.serving.app.endpoints import Explain, Predict
from tenfold.serving.app.gate import Gate
from tenfold.serving.app.hosts import Hosts
from tenfold.serving.app.limits import Batching, Limits
from tenfold.serving.app.log import Format, Log
from tenfold.serving.app.metrics import Metrics
from tenfold.serving.app.pages import Pages
from tenfold.serving.app.protocol import Guard, guarded
from tenfold.serving.app.served import Served

_SPARE_FILES = 128
"""Files that the process has open besides connections, at most."""

_SWITCH_SECONDS = 0.0005
"""How long a thread may hold the interpreter while another waits for it. Python's own 5 ms is
longer than a whole batch: threads that compute would wait for the event loop to have a pause, which
under load it never has."""


class AddressError(TenfoldError):
    """The server cannot listen where it was told to."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to serve.

    Attributes:
        allow_hosts: names that requests may be meant for, besides those that suit the address.
        limits: what is accepted.
        batching: how pictures go through the model together.
        drain_seconds: from being told to stop until no more is accepted; in the meantime `/readyz`
            says 503, so that whoever spreads the load can look elsewhere.
        log_format: of stderr.
    """

    allow_hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    batching: Batching = field(default_factory=Batching)
    drain_seconds: float = 0.0
    log_format: Format = "json"


@dataclass(frozen=True)
class Parts:
    """A server that is put together and does not run yet.

    Attributes:
        app: the whole app.
        guard: watches the connections.
        batcher: has threads, which `close` ends.
        admission: knows what is in hand.
        log: has a thread too.
    """

    app: Gate
    guard: Guard
    batcher: Batcher
    admission: Admission
    log: Log

    def close(self) -> None:
        """End the threads; nothing may be under way."""
        self.batcher.close()
        self.log.close()


def assemble(served: Served, options: Options, address: str, log: Log) -> Parts:
    """Put a server together.

    Args:
        served: what is served.
        options: how.
        address: the IP address that it will be bound to.
        log: what it writes to.
    """
    limits = options.limits
    admission = Admission(limits)
    metrics = Metrics([PREDICT, EXPLAIN, *OTHERS])
    model = served.model
    batcher = Batcher(model, options.batching, max_pixels=limits.pixels, observe=metrics.computed)
    work = {
        path: kind(model.class_names, model.size, batcher, admission)
        for path, kind in ((PREDICT, Predict), (EXPLAIN, Explain))
    }
    guard = Guard(admission, work, metrics, log)
    metrics.watch("tenfold_queue_pictures", "Pictures in no batch yet.", lambda: batcher.waiting)
    metrics.watch("tenfold_requests_in_flight", "Requests worked on.", lambda: admission.working)
    metrics.watch("tenfold_buffered_bytes", "Bodies held.", lambda: admission.buffered)
    metrics.watch("tenfold_connections", "Connections.", lambda: len(guard.connections))
    metrics.describe(
        {"run": served.name, "recipe": served.recipe, "version": served.versions["tenfold"]}
    )
    api = create_api(
        served,
        limits,
        admission,
        metrics,
        Pages(served, limits),
        predict=work[PREDICT],
        explain=work[EXPLAIN],
    )
    hosts = Hosts.bound_to(address, options.allow_hosts)
    gate = Gate(api, work=work, admission=admission, hosts=hosts, metrics=metrics, log=log)
    return Parts(gate, guard, batcher, admission, log)


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound and listens.

    Args:
        host: a name or an IP address. Of several addresses, the first of version 4 is taken.
        port: 0: a free one.

    Raises:
        AddressError: the name leads nowhere, or the port is taken or not for us.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a name"
        raise AddressError(f"host {host} leads to no address ({reason}); check --host") from None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise AddressError(_why_not(error, host, port)) from None
    return listener


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; choose another --port, or 0 for a free one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} is not for you to use; choose a --port from 1024 up"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this computer; check --host"
    return f"cannot listen at {host}, port {port} ({error.strerror}); choose others"


def url_of(listener: socket.socket) -> str:
    """Where a browser on this computer finds the server."""
    address, port = listener.getsockname()[:2]
    if address in ("0.0.0.0", "::"):  # noqa: S104 - read, not bound
        address = "127.0.0.1" if address == "0.0.0.0" else "::1"  # noqa: S104
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def serve(
    served: Served,
    listener: socket.socket,
    options: Options,
    ready: Callable[[], None] = lambda: None,
) -> int:
    """Serve until SIGTERM or SIGINT, and answer what is in flight then.

    Args:
        served: what is served.
        listener: from `listen`; closed at the end.
        options: how.
        ready: called once requests are answered.

    Returns:
        How many requests were answered.

    Raises:
        KeyboardInterrupt: a second signal came, and what was in flight is lost.
    """
    _allow_files(options.limits.connections + _SPARE_FILES)
    for name in ("uvicorn.error", "python_multipart"):  # whatever matters is in our own log
        logging.getLogger(name).setLevel(logging.CRITICAL)
    log = Log(options.log_format)
    parts = assemble(served, options, listener.getsockname()[0], log)
    config = uvicorn.Config(
        parts.app,
        http=guarded(parts.guard),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(options.limits.read_seconds) or 1,
        timeout_graceful_shutdown=int(options.limits.stop_seconds) or 1,
    )
    server = _Server(config, parts, options.drain_seconds, ready)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[listener]))
    finally:
        sys.setswitchinterval(interval)
        parts.app.report()
        parts.guard.sweep(0.0)
        parts.log.line("stopped", requests=server.server_state.total_requests)
        parts.close()
    if server.force_exit:
        raise KeyboardInterrupt
    return server.server_state.total_requests


class _Server(uvicorn.Server):
    """uvicorn's server, with our own way to stop, and a look around every second."""

    def __init__(
        self, config: uvicorn.Config, parts: Parts, drain: float, ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._parts = parts
        self._drain = drain
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            self._parts.app.report()
            self._parts.guard.sweep(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop at a signal, and leave with exit code 0: uvicorn's own way ends by that signal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop, loop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _told_to_stop(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._parts.admission.stopping:
            self.should_exit = self.force_exit = True
            return
        self._parts.admission.stopping = True
        self._parts.log.line("stopping", in_flight=self._parts.admission.working)
        loop.call_later(self._drain, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


def _allow_files(count: int) -> None:
    """Let the process have as many connections as it accepts, as far as it may say."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
