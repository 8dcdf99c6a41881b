"""Reading the body of a request within limits of size, memory and time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.types import Receive

from tenfold.serving.app.admission import Admission, Buffer
from tenfold.serving.app.problems import ProblemError


class DisconnectedError(Exception):
    """The client is gone; there is nobody to answer."""


async def read_body(
    receive: Receive, headers: Mapping[bytes, bytes], buffer: Buffer, admission: Admission
) -> bytes:
    """Read a body whole.

    Args:
        receive: the request's channel.
        headers: its headers, by lower-case name.
        buffer: where the bytes are counted.
        admission: whose limits hold.

    Raises:
        ProblemError: the body is too large, too slow, empty, or there is no memory for it.
        DisconnectedError: the client went away.
    """
    limits = admission.limits
    declared = headers.get(b"content-length")
    # The parser has made sure that it is a number. What is refused here has not been read.
    if declared is not None and int(declared) > limits.body:
        raise _too_large(limits.body)
    parts: list[bytes] = []
    count = 0
    try:
        async with asyncio.timeout(limits.read_seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise DisconnectedError
                part = message.get("body", b"")
                if part:
                    parts.append(part)
                    count += len(part)
                    if count > limits.body:
                        raise _too_large(limits.body)
                    # What is there counts, not what is promised: promises cost nothing.
                    buffer.grow(len(part))
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise ProblemError(
            408,
            f"the request did not arrive within {limits.read_seconds:g} seconds; send it again",
            close=True,
        ) from None
    if not count:
        raise ProblemError(400, "the body is empty; send a picture in it")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most: int) -> ProblemError:
    return ProblemError(
        413, f"the body is larger than {most:,} bytes; send fewer or smaller pictures", close=True
    )
