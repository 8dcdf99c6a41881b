"""The parts of a picture file, counted before any library goes through them.

Readers of pictures go through the parts of a file (segments, chunks, blocks) one by one, Pillow in
Python. A file of 64 MiB can have 20 million empty ones, which takes minutes; and a JPEG can have
its whole picture gone over a thousand times, in scans of a hundred bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import islice

MOST_PARTS = 1 << 16
"""A PNG of 64 MiB has 8,192 chunks, as libpng writes them; other formats have far fewer."""

MOST_SCANS = 1000
"""A progressive JPEG has ten scans, and as many again for each further picture in the file."""

_Position = int


class TooManyPartsError(Exception):
    """The file has more parts than any picture needs."""


def check_parts(content: bytes) -> None:
    """Count the parts of a picture file that its reader would go through.

    A damaged file passes: where a part is missing, the reader will say so.

    Raises:
        TooManyPartsError: there are more than `MOST_PARTS`, or more than `MOST_SCANS` scans.
    """
    for start, parts in _FORMATS.items():
        if content.startswith(start) and next(islice(parts(content), MOST_PARTS, None), None):
            raise TooManyPartsError(f"more than {MOST_PARTS:,} parts")
    if count_scans(content) > MOST_SCANS:
        raise TooManyPartsError(f"more than {MOST_SCANS:,} scans")


def count_scans(content: bytes) -> int:
    """How often a JPEG goes over its picture, or at least not less; 0 for other formats."""
    return content.count(b"\xff\xda") if content.startswith(b"\xff\xd8") else 0


def keeps_coefficients(content: bytes) -> bool:
    """Whether a decoder of this JPEG must hold the whole picture's coefficients, 6 bytes a pixel.

    It must where the picture comes in several scans: where it is progressive, or the first scan
    does not hold all components.
    """
    components = 0
    for at in islice(_segments(content), MOST_PARTS):
        kind, rest = content[at + 1 : at + 2], content[at + 2 : at + 10]
        if kind == b"\xda":
            return rest[2:3] != bytes([components])
        if b"\xc0" <= kind <= b"\xcf" and kind not in b"\xc4\xc8\xcc":
            if kind not in b"\xc0\xc1":
                return True
            components = rest[7] if len(rest) == 8 else 0
    return False


def _segments(content: bytes) -> Iterator[_Position]:
    """JPEG: up to the first scan, each segment, and each byte that lies between segments."""
    at = 2
    while at + 4 <= len(content):
        yield at
        kind = content[at + 1]
        if content[at] != 0xFF or kind == 0xFF:
            at += 1
        elif kind in (0x00, 0x01) or 0xD0 <= kind <= 0xD8:  # these have no length
            at += 2
        elif kind in (0xD9, 0xDA):
            return
        else:
            at += 2 + max(2, int.from_bytes(content[at + 2 : at + 4], "big"))


def _chunks(content: bytes) -> Iterator[_Position]:
    """PNG: each chunk."""
    at = 8
    while at + 8 <= len(content):
        yield at
        at += 12 + int.from_bytes(content[at : at + 4], "big")


def _riff_chunks(content: bytes) -> Iterator[_Position]:
    """WebP: each chunk; they begin at even places."""
    at = 12
    while at + 8 <= len(content):
        yield at
        length = struct.unpack_from("<I", content, at + 4)[0]
        at += 8 + length + length % 2


def _blocks(content: bytes) -> Iterator[_Position]:
    """GIF: up to the first picture, each piece of an extension, and each byte between blocks."""
    flags = content[10] if len(content) > 10 else 0
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    while at < len(content) and content[at : at + 1] not in b",;":
        yield at
        at += 1
        if content[at - 1 : at] == b"!":
            at += 1
            while at < len(content) and content[at]:
                yield at
                at += 1 + content[at]
            at += 1


_FORMATS: dict[bytes, Callable[[bytes], Iterator[_Position]]] = {
    b"\xff\xd8": _segments,
    b"\x89PNG": _chunks,
    b"RIFF": _riff_chunks,
    b"GIF8": _blocks,
}
