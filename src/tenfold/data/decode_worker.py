"""What a decoding worker process runs: chunks of encoded pictures in, rows of a file written.

Start-up counts (a quarter of a second, most of it NumPy's), so nothing more is imported here.

The protocol, over the worker's standard input and output, both binary:

    request   {"start": 512, "lengths": [924, 890, ...]}, a newline, the contents end to end
    reply     {"failures": [[3, "truncated"], ...]}, a newline, one `ORIGIN` a picture end to end;
              or {"errno": 28} and a newline
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tenfold.data.decode import FORMATS, PIXELS, DecodeError, decode_whole

Failures = list[tuple[int, str]]
"""Position in the chunk, and the reason in words, of each picture that cannot be decoded."""

FORMAT_NAMES = (PIXELS, *FORMATS)
"""Formats by the number that stands for them on disk: a new one goes to the end."""

ORIGIN = np.dtype([("width", "<u4"), ("height", "<u4"), ("format", "u1"), ("digest", "<u8", 2)])
"""What is kept of a picture beside its pixels: its own size, its format, and the 128-bit BLAKE2b
of its row of pixels, by which pictures that are equal in every pixel find each other."""

_FORMAT_NUMBERS = {name: number for number, name in enumerate(FORMAT_NAMES)}


class DecodedRows(NamedTuple):
    """What became of a chunk.

    Attributes:
        failures: the pictures that cannot be decoded; their rows hold zeros.
        origins: `ORIGIN` (n,), one for each picture, zeros for those.
    """

    failures: Failures
    origins: NDArray[np.void]


def decode_rows(
    contents: Sequence[bytes | NDArray[np.uint8]], start: int, size: int, descriptor: int
) -> DecodedRows:
    """Decode a chunk and write it to a file of rows, one row of size * size * 3 bytes a picture.

    Args:
        contents: one encoded file, or decoded pixels, for each row.
        start: row of the first picture.
        size: side of the decoded pictures in pixels.
        descriptor: the file, open for writing. Its position is neither used nor moved, so that
            processes can share it.

    Raises:
        OSError: the file cannot be written.
    """
    rows = np.zeros((len(contents), size, size, 3), np.uint8)
    origins = np.zeros(len(contents), ORIGIN)
    failures = []
    for position, content in enumerate(contents):
        try:
            pixels, width, height, format_ = decode_whole(content, size)
        except DecodeError as error:
            failures.append((position, str(error)))
            continue
        row = rows[position]
        row[:] = pixels
        digest = np.frombuffer(hashlib.blake2b(row.data, digest_size=16).digest(), "<u8")
        origins[position] = width, height, _FORMAT_NUMBERS[format_], digest
    write_at(descriptor, rows.reshape(-1).data, start * size * size * 3)
    return DecodedRows(failures, origins)


def write_at(descriptor: int, data: memoryview | bytes, offset: int) -> None:
    """Write all of ``data`` at ``offset`` of a file, whatever the position of the file is."""
    view = memoryview(data)
    while view:  # a nearly full disk may take a part; the next write then says that it is full
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def main() -> None:
    """Serve requests until the parent closes the pipe, by ending or by being killed."""
    size, descriptor = int(sys.argv[1]), int(sys.argv[2])
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        request = json.loads(line)
        ends = [0, *accumulate(request["lengths"])]
        joined = requests.read(ends[-1])
        if len(joined) < ends[-1]:
            return
        contents = [joined[start:end] for start, end in pairwise(ends)]
        try:
            decoded = decode_rows(contents, request["start"], size, descriptor)
        except OSError as error:
            reply = json.dumps({"errno": error.errno}).encode() + b"\n"
        else:
            head = json.dumps({"failures": decoded.failures}).encode()
            reply = b"\n".join([head, decoded.origins.tobytes()])
        replies.write(reply)
        replies.flush()


if __name__ == "__main__":
    main()
