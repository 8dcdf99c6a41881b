"""The two paths where the work is done, as ASGI: predict and explain.

They are written beneath FastAPI's handling of forms and arguments, which costs as much as the model
itself for small pictures. `tenfold.serving.app.api` describes them to FastAPI all the same, and a
test compares what is described with what is answered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import numpy as np
from numpy.typing import NDArray
from starlette.types import Receive, Scope, Send

from tenfold.serving.app.admission import Admission
from tenfold.serving.app.batching import Batcher, PictureError
from tenfold.serving.app.body import read_body
from tenfold.serving.app.decoding import TooManyPixelsError
from tenfold.serving.app.gate import Exchange
from tenfold.serving.app.problems import ProblemError, busy, overloaded
from tenfold.serving.app.uploads import Upload, check_content_type, read_uploads
from tenfold.serving.occlusion import Occlusion

DEFAULT_TOP = 5

_LONG = 64 * 1024
"""Bytes of a body that takes a moment to take apart."""

_DIGITS = 6


class Endpoint:
    """What both paths share: reading pictures within limits, and answering in time.

    Args:
        class_names: in the order of the probabilities.
        size: side in pixels of what the model takes.
        batcher: does the work.
        admission: whose limits hold.
    """

    _places = 1
    """Requests that one counts for, by the work that it is."""

    def __init__(
        self, class_names: tuple[str, ...], size: int, batcher: Batcher, admission: Admission
    ) -> None:
        self._class_names = class_names
        self._size = size
        self._batcher = batcher
        self._admission = admission
        self._most_pictures = admission.limits.pictures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            ProblemError: it cannot be answered.
        """
        if self._admission.full:
            raise busy()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        top = self._top(scope["query_string"])
        kind = headers.get(b"content-type", b"").decode("latin-1")
        check_content_type(kind)
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise ProblemError(415, "the body is compressed; send it as it is")
        with self._admission.buffer() as buffer:
            body = await read_body(receive, headers, buffer, self._admission)
            with self._admission.work(self._places):
                uploads, value = await self._work(kind, body, top)
        exchange: Exchange = scope["tenfold"]
        exchange.pictures = len(uploads)
        content = json.dumps(value).encode()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", b"%d" % len(content)),
                    (b"cache-control", b"no-store"),
                ],
            }
        )
        await send({"type": "http.response.body", "body": content})

    async def _work(
        self, kind: str, body: bytes, top: int
    ) -> tuple[list[Upload], Mapping[str, Any]]:
        seconds = self._admission.limits.answer_seconds
        try:
            async with asyncio.timeout(seconds):
                uploads = await self._uploads(kind, body)
                try:
                    return uploads, await self._answer(uploads, top)
                except PictureError as error:
                    status = 413 if isinstance(error.reason, TooManyPixelsError) else 422
                    detail = f"{_called(uploads, error.position)}: {error}"
                    raise ProblemError(status, detail) from None
        except TimeoutError:
            raise overloaded(f"there was no answer within {seconds:g} seconds") from None

    async def _answer(self, uploads: list[Upload], top: int) -> Mapping[str, Any]:
        """What is sent, as JSON values."""
        raise NotImplementedError

    async def _uploads(self, kind: str, body: bytes) -> list[Upload]:
        if len(body) < _LONG:
            return read_uploads(kind, body, self._most_pictures)
        return await asyncio.to_thread(read_uploads, kind, body, self._most_pictures)

    def _top(self, query: bytes) -> int:
        if not query:
            return min(DEFAULT_TOP, len(self._class_names))
        try:
            asked = parse_qs(query.decode("ascii"), keep_blank_values=True, max_num_fields=8)
            values = asked.get("top", [str(DEFAULT_TOP)])
            # int() takes signs, spaces and other scripts' digits too.
            top = int(values[0]) if values[0].isascii() and values[0].isdecimal() else 0
            if len(values) > 1 or len(values[0]) > 9 or top < 1:
                raise ValueError
        except ValueError:
            raise ProblemError(
                422, "top must be a whole number of at least 1, as in ?top=3"
            ) from None
        return min(top, len(self._class_names))


class Predict(Endpoint):
    """``POST /v1/predict``."""

    async def _answer(self, uploads: list[Upload], top: int) -> Mapping[str, Any]:
        rows = await self._batcher.predict([upload.content for upload in uploads])
        _check_finite(uploads, rows)
        return {
            "predictions": [
                self._prediction(upload.name, row, top)
                for upload, row in zip(uploads, rows, strict=True)
            ]
        }

    def _prediction(self, name: str | None, row: NDArray[np.float32], top: int) -> dict[str, Any]:
        names, values = self._class_names, row.tolist()
        order = np.argsort(-row, kind="stable")[:top].tolist()
        best = [{"class": names[i], "probability": round(values[i], _DIGITS)} for i in order]
        return {"name": name, **best[0], "top": best}


class Explain(Endpoint):
    """``POST /v1/explain``."""

    _places = 8

    async def _answer(self, uploads: list[Upload], top: int) -> Mapping[str, Any]:
        if len(uploads) != 1:
            raise ProblemError(413, "one picture is explained at a time; send one")
        pixels = await self._batcher.decode(uploads[0].content)
        occlusion = Occlusion(self._size)
        (row,) = await self._batcher.predict([pixels])
        _check_finite(uploads, [row])
        best = int(row.argmax())
        covered: list[float] = []
        # A batch for each thread at a time, so that others' pictures come in between.
        batching = self._batcher.batching
        for copies in occlusion.covered(pixels, batching.pictures * batching.threads):
            covered += [float(row[best]) for row in await self._batcher.predict(list(copies))]
        drops = occlusion.drops(float(row[best]), covered)
        return {
            "class": self._class_names[best],
            "probability": round(float(row[best]), _DIGITS),
            "size": self._size,
            "patch": occlusion.patch,
            "drops": drops.round(_DIGITS).tolist(),
        }


def _check_finite(uploads: list[Upload], rows: list[NDArray[np.float32]]) -> None:
    for position, row in enumerate(rows):
        if not np.isfinite(row).all():
            raise ProblemError(422, f"{_called(uploads, position)}: the model gives no numbers")


def _called(uploads: list[Upload], position: int) -> str:
    """How the one picture is named among others."""
    name = uploads[position].name
    number = f"picture {position + 1}" if len(uploads) > 1 else "the picture"
    return f"{number} ({name[:80]!r})" if name else number
