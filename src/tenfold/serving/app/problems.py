"""How a request is refused: a JSON object with one clear line (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

CONTENT_TYPE = b"application/problem+json"


class ProblemError(Exception):
    """A request that is not answered; the message says what is wrong and what to do.

    Attributes:
        status: the HTTP status.
        detail: the line.
        headers: what goes with it, `Retry-After` for one.
        close: whether the connection is of no more use.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = " ".join(detail.split())
        self.headers = dict(headers or {})
        self.close = close

    def value(self) -> dict[str, Any]:
        """The object, as `tenfold.serving.app.schemas.ProblemBody` describes it."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }

    def body(self) -> bytes:
        """The same as JSON."""
        return json.dumps(self.value()).encode()

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of the answer, content type and length among them."""
        headers = [(b"content-type", CONTENT_TYPE), (b"content-length", b"%d" % len(self.body()))]
        headers += [(k.lower().encode(), v.encode()) for k, v in self.headers.items()]
        if self.close:
            headers.append((b"connection", b"close"))
        return headers


def busy() -> ProblemError:
    """More requests than are worked on at a time."""
    return ProblemError(
        429, "the server works on all it can; try again in a second", headers={"Retry-After": "1"}
    )


def overloaded(detail: str, *, close: bool = False) -> ProblemError:
    """The server cannot do it now, through no fault of the request."""
    return ProblemError(
        503, f"{detail}; try again later", headers={"Retry-After": "1"}, close=close
    )


def our_fault(request: str) -> ProblemError:
    """What should not happen. The log has the traceback, the answer has not."""
    return ProblemError(
        500, f"this is a fault of ours; the log says more of request {request}", close=True
    )
