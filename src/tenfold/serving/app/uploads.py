"""From the body of a request to the pictures in it."""

from __future__ import annotations

from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from tenfold.serving.app.problems import ProblemError

RAW_TYPES = ("image/*", "application/octet-stream")
"""Content types of a body that is one picture."""

_HOW = (
    "send one picture as the body, with its type (Content-Type: image/jpeg), or several as "
    "multipart/form-data"
)


@dataclass(frozen=True, slots=True)
class Upload:
    """One picture as it was sent.

    Attributes:
        name: the file's name, where the client gave one.
        content: the encoded file.
    """

    name: str | None
    content: bytes


def content_type(value: str) -> tuple[str, dict[bytes, bytes]]:
    """The media type, in lower case, and its parameters."""
    kind, options = parse_options_header(value)
    return kind.decode("latin-1"), options


def check_content_type(value: str) -> None:
    """Refuse, before the body is read, what holds no pictures.

    Raises:
        ProblemError: 415.
    """
    kind, options = content_type(value)
    if kind.startswith("image/") or kind == "application/octet-stream":
        return
    if kind != "multipart/form-data":
        raise ProblemError(
            415, f"a body of type {kind[:80] or 'unknown'} holds no pictures; {_HOW}"
        )
    if not options.get(b"boundary"):
        raise ProblemError(400, "the multipart body has no boundary in its Content-Type; " + _HOW)


def read_uploads(value: str, body: bytes, most: int) -> list[Upload]:
    """The pictures in a body.

    Args:
        value: the Content-Type, which `check_content_type` has let pass.
        body: the whole body.
        most: how many pictures are accepted.

    Raises:
        ProblemError: the body is malformed, or holds too many pictures, or none, or something else.
    """
    kind, options = content_type(value)
    if kind != "multipart/form-data":
        return [Upload(None, body)]
    collector = _Collector(most)
    try:
        parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": collector.begin,
                "on_header_field": collector.header_name,
                "on_header_value": collector.header_value,
                "on_header_end": collector.header_end,
                "on_headers_finished": collector.headers_finished,
                "on_part_data": collector.data,
                "on_part_end": collector.end,
                "on_end": collector.finish,
            },
        )
        parser.write(body)
    except FormParserError:
        raise ProblemError(400, "the multipart body is malformed; " + _HOW) from None
    if not collector.finished:
        raise ProblemError(400, "the multipart body is cut short; send it again")
    if not collector.uploads:
        raise ProblemError(400, "the multipart body holds no picture; " + _HOW)
    return collector.uploads


class _Collector:
    """Gathers the parts of a multipart body as the parser finds them."""

    def __init__(self, most: int) -> None:
        self.uploads: list[Upload] = []
        self.finished = False
        self._most = most
        self._header = b""
        self._value = b""
        self._disposition = ""
        self._name: str | None = None
        self._parts: list[bytes] = []

    def begin(self) -> None:
        if len(self.uploads) == self._most:
            # Here, and not once all is parsed: a body of nothing but parts takes long to parse.
            raise ProblemError(
                413,
                f"more than {self._most} pictures in a request; send them in several requests",
                close=True,
            )
        self._disposition = ""
        self._parts = []

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value.decode("latin-1")  # as the parser of its parts wants it
        self._header = self._value = b""

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"filename")
        if name is None:
            field = options.get(b"name", b"").decode("utf-8", "replace")[:80]
            raise ProblemError(
                400, f"the field '{field}' of the multipart body is no file; send pictures only"
            )
        self._name = name.decode("utf-8", "replace")

    def data(self, data: bytes, start: int, end: int) -> None:
        self._parts.append(data[start:end])

    def end(self) -> None:
        content = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self.uploads.append(Upload(self._name, content))

    def finish(self) -> None:
        self.finished = True
