"""Decompression in a thread of its own, a few blocks ahead of whoever reads."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

from tenfold.data.sources._limits import check_expansion
from tenfold.errors import SourceError

_CHUNK = 1 << 20
_BLOCK = 8 << 20
_AHEAD = 2


class _Decoder(Protocol):
    """What ``lzma.LZMADecompressor`` and ``bz2.BZ2Decompressor`` offer."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _GzipDecoder:
    """zlib's decompressor with the interface of the other two."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self._pending = b""

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._pending

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        block = self._zlib.decompress(self._pending + data, max_length)
        self._pending = self._zlib.unconsumed_tail
        return block


_DECODERS: dict[bytes, Callable[[], _Decoder]] = {
    b"\x1f\x8b": _GzipDecoder,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lzma.LZMADecompressor,
}
_ZSTD = b"\x28\xb5\x2f\xfd"


class ReadAhead:
    """A file's content in order, decompressed by what the file's first bytes say it is.

    The file objects of ``gzip``, ``bz2`` and ``lzma`` decompress 8 KiB a call and ask for the
    interpreter lock after each; next to a busy reader every such request waits up to 5 ms. A call
    for 8 MiB asks five times or so, and both run at nearly full speed.

    Raises:
        SourceError: from any method: the file cannot be read, is truncated or damaged, is
            compressed in a way that we cannot read, or expands like a bomb.
    """

    def __init__(self, path: Path) -> None:
        self._name = str(path)
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from None
        self._size = path.stat().st_size
        self._expanded = 0
        self._blocks = self._decompress(self._file)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="tenfold-read-ahead")
        self._ahead: deque[Future[bytes]] = deque()
        self._block, self._at = b"", 0
        self._tail = b""

    def __enter__(self) -> ReadAhead:
        self._ahead.extend(self._worker.submit(next, self._blocks, b"") for _ in range(_AHEAD))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._worker.shutdown(cancel_futures=True)
        self._file.close()

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer only at the end."""
        end = self._at + size
        if end <= len(self._block):
            piece = self._block[self._at : end]
            self._at = end
            return piece
        pieces = [self._block[self._at :]]
        missing = size - len(pieces[0])
        while missing:
            self._block, self._at = self._next(), 0
            if not self._block:
                break
            pieces.append(self._block[:missing])
            self._at = len(pieces[-1])
            missing -= self._at
        return b"".join(pieces)

    def unread(self, piece: bytes) -> None:
        """Put back what was just read."""
        self._block, self._at = piece + self._block[self._at :], 0

    def skip(self, size: int) -> bool:
        """Pass over ``size`` bytes; whether there were so many."""
        while size:
            piece = len(self.read(min(size, _BLOCK)))
            if not piece:
                return False
            size -= piece
        return True

    def drain(self) -> bytes:
        """Read to the end, so that checksums there are checked; the last 512 bytes of all."""
        self._block, self._at = b"", 0
        while self._next():
            pass
        return self._tail

    def _next(self) -> bytes:
        block = self._ahead.popleft().result() if self._ahead else b""
        if block:
            self._ahead.append(self._worker.submit(next, self._blocks, b""))
            self._tail = (self._tail + block[-512:])[-512:]
            self._expanded += len(block)
            check_expansion(self._name, self._size, self._expanded)
        return block

    def _decompress(self, file: BinaryIO) -> Iterator[bytes]:
        try:
            magic = file.read(6)
            file.seek(0)
            if magic.startswith(_ZSTD):
                raise SourceError(
                    f"{self._name} is compressed with zstd, which Python reads from 3.14 on; "
                    "run `zstd -d` on it and use the .tar that this leaves"
                )
            for start, decoder in _DECODERS.items():
                if magic.startswith(start):
                    yield from _expand(file, decoder)
                    return
            while block := file.read(_BLOCK):
                yield block
        except EOFError:
            raise SourceError(f"{self._name} is truncated; copy or download it again") from None
        except (lzma.LZMAError, zlib.error) as error:
            raise SourceError(
                f"{self._name} is damaged ({error}); copy or download it again"
            ) from None
        except OSError as error:  # bz2 has no exception of its own for damaged data
            raise SourceError(
                f"{self._name} cannot be read: {error.strerror or error}; copy or download it again"
            ) from None


def _expand(file: BinaryIO, new_decoder: Callable[[], _Decoder]) -> Iterator[bytes]:
    """The content of one or more compressed streams, one after the other.

    Raises:
        EOFError: the last one is not whole.
    """
    decoder = new_decoder()
    data = file.read(_CHUNK)
    while True:
        if block := decoder.decompress(data, _BLOCK):
            yield block
        if decoder.eof:
            # Zeros may pad the end of a stream; anything else begins the next one.
            data = decoder.unused_data.lstrip(b"\0")
            while not data:
                if not (data := file.read(_CHUNK)):
                    return
                data = data.lstrip(b"\0")
            decoder = new_decoder()
        elif decoder.needs_input:
            if not (data := file.read(_CHUNK)):
                raise EOFError
        else:
            data = b""
