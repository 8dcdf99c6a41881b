"""Decoding many pictures in order, on all cores, in memory that does not depend on their number.

Workers are plain child processes, not `multiprocessing`'s: those import the user's main script
anew (TensorFlow with it, and without a ``__main__`` guard without end) and outlive a parent that
is killed. Ours import NumPy and a JPEG decoder, and end when the pipe from the parent closes.
They write pixels straight into the file; only encoded pictures and short replies are handed over.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data.decode_worker import ORIGIN, DecodedRows, decode_rows
from tenfold.data.sources.base import Picture
from tenfold.errors import SourceError

# A chunk is large enough that handing it over costs little beside decoding it, and small enough
# that the chunks under way fit in a few tens of megabytes.
_CHUNK_PICTURES = 256
_CHUNK_CONTENT_BYTES = 2 * 2**20
_CHUNK_DECODED_BYTES = 8 * 2**20
_CHUNKS_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive pictures on their way to rows ``start``, ``start + 1``, ... of a file."""

    start: int
    names: list[str]
    contents: list[bytes | NDArray[np.uint8]]

    def files(self) -> list[bytes] | None:
        """The contents where all of them are encoded files; None where some are pixels."""
        files = [content for content in self.contents if isinstance(content, bytes)]
        return files if len(files) == len(self.contents) else None


def cut_into_chunks(pictures: Iterable[Picture], size: int) -> Iterator[Chunk]:
    """Cut a stream of pictures into chunks bounded in number and in bytes.

    Args:
        pictures: the stream.
        size: side in pixels that the pictures will be decoded to.
    """
    most = max(1, min(_CHUNK_PICTURES, _CHUNK_DECODED_BYTES // (size * size * 3)))
    chunk = Chunk(0, [], [])
    content_bytes = 0
    for picture in pictures:
        content = picture.content
        chunk.names.append(picture.name)
        chunk.contents.append(content)
        content_bytes += content.nbytes if isinstance(content, np.ndarray) else len(content)
        if len(chunk.names) == most or content_bytes >= _CHUNK_CONTENT_BYTES:
            yield chunk
            chunk = Chunk(chunk.start + len(chunk.names), [], [])
            content_bytes = 0
    if chunk.names:
        yield chunk


def decode_chunks(
    chunks: Iterable[Chunk], size: int, descriptor: int, workers: int
) -> Generator[tuple[Chunk, DecodedRows]]:
    """Decode chunks into a file of rows; yields each, in order, once its rows are written.

    Pixels that need no decoding, and sources of a single chunk, are done in this process.

    Args:
        chunks: consecutive chunks, read a bounded number ahead of what is yielded.
        size: side of the decoded pictures in pixels.
        descriptor: the file, open for writing.
        workers: how many worker processes to use.

    Yields:
        The chunk, and what became of it.

    Raises:
        OSError: the file cannot be written.
        SourceError: a worker died of what it was given.
    """
    chunks = iter(chunks)
    head = list(islice(chunks, 2))
    chunks = chain(head, chunks)
    if len(head) == 2 and head[0].files() is not None:
        yield from _decode_in_workers(chunks, size, descriptor, workers)
    else:
        for chunk in chunks:
            yield chunk, decode_rows(chunk.contents, chunk.start, size, descriptor)


def _decode_in_workers(
    chunks: Iterable[Chunk], size: int, descriptor: int, count: int
) -> Generator[tuple[Chunk, DecodedRows]]:
    workers: list[_Worker] = []
    idle: SimpleQueue[_Worker] = SimpleQueue()
    # One thread a worker, which waits for it; the decoding itself is in the workers.
    threads = ThreadPoolExecutor(count)

    def run(chunk: Chunk) -> DecodedRows:
        worker = idle.get()
        try:
            return worker.decode(chunk)
        finally:
            idle.put(worker)

    try:
        for _ in range(count):
            workers.append(_Worker(size, descriptor))
            idle.put(workers[-1])
        under_way: deque[tuple[Chunk, Future[DecodedRows]]] = deque()
        for chunk in chunks:
            under_way.append((chunk, threads.submit(run, chunk)))
            if len(under_way) > _CHUNKS_AHEAD:
                oldest, decoded = under_way.popleft()
                yield oldest, decoded.result()
        for oldest, decoded in under_way:
            yield oldest, decoded.result()
    finally:
        # In this order, because a thread may be waiting for its worker.
        for worker in workers:
            worker.kill()
        threads.shutdown(cancel_futures=True)
        for worker in workers:
            worker.close()


class _Worker:
    """A child process that decodes chunks; see `tenfold.data.decode_worker`."""

    def __init__(self, size: int, descriptor: int) -> None:
        self._size = size
        self._descriptor = descriptor
        path = os.pathsep.join(entry for entry in sys.path if entry)
        command = [sys.executable, "-P", "-m", "tenfold.data.decode_worker"]
        self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            [*command, str(size), str(descriptor)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(descriptor,),
            env={**os.environ, "PYTHONPATH": path},
            # Ctrl-C reaches only the parent, which then ends its workers.
            process_group=0,
        )

    def decode(self, chunk: Chunk) -> DecodedRows:
        """Hand over a chunk and wait until its rows are written."""
        files = chunk.files()
        if files is None:
            return decode_rows(chunk.contents, chunk.start, self._size, self._descriptor)
        requests, replies = self._process.stdin, self._process.stdout
        assert requests is not None  # noqa: S101 - both are pipes
        assert replies is not None  # noqa: S101
        lengths = [len(content) for content in files]
        request = json.dumps({"start": chunk.start, "lengths": lengths}).encode()
        answer: dict[str, Any] = {}
        origins = b""
        expected = len(files) * ORIGIN.itemsize
        with suppress(BrokenPipeError):
            requests.write(b"\n".join([request, b"".join(files)]))
            requests.flush()
            line = replies.readline()
            answer = json.loads(line) if line.endswith(b"\n") else {}
            if "failures" in answer:
                origins = replies.read(expected)
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        if len(origins) < expected:
            raise SourceError(
                f"decoding died (exit status {self._process.wait()}) among the pictures from "
                f"'{chunk.names[0]}' to '{chunk.names[-1]}'; free memory, or take out the picture "
                "that it died of"
            )
        failures = [(position, reason) for position, reason in answer["failures"]]
        return DecodedRows(failures, np.frombuffer(origins, ORIGIN))

    def kill(self) -> None:
        """End the process at once: what it was asked for is written, or no longer wanted."""
        self._process.kill()

    def close(self) -> None:
        """Release the pipes of a process that was killed."""
        with suppress(BrokenPipeError):  # what was not handed over, is not
            self._process.communicate()
