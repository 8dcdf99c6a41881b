"""``tenfold serve``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli._console import log, say, say_json
from tenfold.cli._options import JsonOption, RunArgument, byte_size, decimal_number, whole_number
from tenfold.errors import RunError

if TYPE_CHECKING:
    from tenfold.run import Run

_COUNT = whole_number(1)
_ENSURE = """
import sys
from tenfold.run import load_run
from tenfold.serving.export.ensure import ensure_onnx
ensure_onnx(load_run(sys.argv[1]))
"""
_SECONDS = decimal_number(0.01, 3600)


class LogFormat(StrEnum):
    """How the lines on stderr read."""

    json = "json"
    text = "text"


def _limit(
    metavar: str, parser: Callable[[str], Any], help_: str, default: str | bool = True
) -> Any:
    return typer.Option(
        metavar=metavar,
        parser=parser,
        help=help_,
        show_default=default,
        rich_help_panel="Limits",
    )


def _batching(metavar: str, parser: Callable[[str], Any], help_: str) -> Any:
    return typer.Option(metavar=metavar, parser=parser, help=help_, rich_help_panel="Batching")


def _stopping(metavar: str, parser: Callable[[str], Any], help_: str) -> Any:
    return typer.Option(metavar=metavar, parser=parser, help=help_, rich_help_panel="Stopping")


def serve(
    run: RunArgument = "latest",
    host: Annotated[
        str, typer.Option(metavar="HOST", help="The name or address to listen at.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="N", parser=whole_number(0, 65535), help="The port; 0: one that is free."
        ),
    ] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Answer requests for this host name too, as from a proxy; may be repeated.",
        ),
    ] = None,
    max_requests: Annotated[
        int, _limit("N", _COUNT, "Requests worked on at a time; past it, 429.")
    ] = 64,
    max_connections: Annotated[int, _limit("N", _COUNT, "Connections at a time.")] = 1000,
    max_body: Annotated[
        int, _limit("SIZE", byte_size, "One request's body; past it, 413.", "16MiB")
    ] = 2**24,
    max_buffered: Annotated[
        int, _limit("SIZE", byte_size, "All bodies at a time; past it, 503.", "256MiB")
    ] = 2**28,
    max_headers: Annotated[
        int, _limit("SIZE", byte_size, "One request's headers; past it, 431.", "16KiB")
    ] = (2**14),
    max_pixels: Annotated[
        int, _limit("N", whole_number(1, 2**26), "A picture's width times height; past it, 413.")
    ] = 2**26,
    max_pictures: Annotated[int, _limit("N", _COUNT, "Pictures in a request; past it, 413.")] = 32,
    read_timeout: Annotated[
        float, _limit("SECONDS", _SECONDS, "For a request to arrive; past it, 408.")
    ] = 20.0,
    timeout: Annotated[
        float, _limit("SECONDS", _SECONDS, "From there to its answer; past it, 503.")
    ] = 10.0,
    batch: Annotated[int, _batching("N", whole_number(1, 1024), "Most pictures in a batch.")] = 16,
    batch_wait: Annotated[
        float,
        _batching("MS", decimal_number(0, 1000), "How long a picture waits for others, in ms."),
    ] = 2.0,
    threads: Annotated[
        int | None,
        _batching(
            "N",
            whole_number(1, 1024),
            "Batches computed at a time; where left out, one less than there are cores.",
        ),
    ] = None,
    drain: Annotated[
        float,
        _stopping(
            "SECONDS",
            decimal_number(0, 3600),
            "Once told to stop, say so at /readyz and go on for so long.",
        ),
    ] = 0.0,
    stop_timeout: Annotated[
        float, _stopping("SECONDS", _SECONDS, "For requests in flight to be answered then.")
    ] = 30.0,
    log_format: Annotated[
        LogFormat, typer.Option(metavar="json|text", help="How the lines on stderr read.")
    ] = LogFormat.json,
    json: JsonOption = False,
) -> None:
    """Serve a run's model: an API, and a page that takes pictures.

    Ctrl-C or SIGTERM stops it, once the requests in flight are answered.

    Example: tenfold serve latest --port 8000
    """
    from tenfold import machine
    from tenfold.run import load_run
    from tenfold.serving import app

    found = load_run(run)
    listener = app.listen(host, port)
    try:
        _make_model(found)
        served = app.load(found)
        options = app.Options(
            allow_hosts=tuple(allow_host or ()),
            limits=app.Limits(
                body=max_body,
                pixels=max_pixels,
                pictures=max_pictures,
                requests=max_requests,
                buffered=max_buffered,
                connections=max_connections,
                headers=max_headers,
                read_seconds=read_timeout,
                answer_seconds=timeout,
                stop_seconds=stop_timeout,
            ),
            batching=app.Batching(
                pictures=batch,
                wait_seconds=batch_wait / 1000,
                threads=threads or max(1, machine.usable_cores() - 1),
            ),
            drain_seconds=drain,
            log_format=log_format.value,
        )

        def ready() -> None:
            url = app.url_of(listener)
            if json:
                say_json({"run": str(found.path), "url": url})
            else:
                say(f"serving {found.path} at {url}")

        app.serve(served, listener, options, ready)
    finally:
        listener.close()


def _make_model(run: Run) -> None:
    """Make `model.onnx` where it is missing, in another process: ours stays without TensorFlow.

    What is imported for that is never given back, and is several times what serving takes.
    """
    if run.finished and run.onnx_path.is_file():
        return
    run.saved_model()  # whose absence is not worth waiting for TensorFlow
    log(f"making {run.onnx_path} from {run.model_path.name}")
    command = [sys.executable, "-P", "-c", _ENSURE, str(run.path)]
    made = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if made.returncode:
        reason = made.stderr.strip().rpartition("\n")[2].rpartition("Error: ")[2]
        raise RunError(reason or f"run {run.path}: model.onnx cannot be made")
