"""Arrays inside an .npz file: what their headers declare, and their rows a few MiB at a time."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data.sources._zip import explained, opened_zip
from tenfold.errors import SourceError

_BLOCK_BYTES = 4 << 20
_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class Header:
    """What an array's header declares, checked against the array's length in the file."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Bytes of everything under one index of the first axis."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize


def unusable(path: Path, array: str, reason: str) -> SourceError:
    """The error for an array that is not what it has to be."""
    return SourceError(f"{path}: array {array!r} {reason}")


def read_headers(path: Path) -> dict[str, Header]:
    """The headers of all arrays by name; nothing else is read.

    Raises:
        SourceError: the file is damaged, or an array is pickled, or neither C-ordered nor whole.
    """
    headers = {}
    with opened_zip(path) as archive:
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                continue
            name = info.filename.removesuffix(".npy")
            with _array(path, archive, name) as file:
                header = headers[name] = _read_header(path, file, name)
                rows = header.shape[0] if header.shape else 1
                if info.file_size != file.tell() + rows * header.row_bytes:
                    raise unusable(path, name, "is not as long as its header says; save it again")
    return headers


def read_rows(path: Path, header: Header) -> Iterator[NDArray[Any]]:
    """An array of one dimension or more in blocks along its first axis.

    Raises:
        SourceError: the file is damaged.
    """
    rows = max(1, _BLOCK_BYTES // max(1, header.row_bytes))
    with opened_zip(path) as archive, _array(path, archive, header.name) as file:
        _read_header(path, file, header.name)
        for start in range(0, header.shape[0], rows):
            count = min(rows, header.shape[0] - start)
            raw = file.read(count * header.row_bytes)
            if len(raw) != count * header.row_bytes:
                raise unusable(path, header.name, "is truncated; copy the file again")
            yield np.frombuffer(raw, header.dtype).reshape(count, *header.shape[1:])


@contextmanager
def _array(path: Path, archive: zipfile.ZipFile, name: str) -> Iterator[IO[bytes]]:
    with explained(path), archive.open(f"{name}.npy") as file:
        yield file


def _read_header(path: Path, file: IO[bytes], name: str) -> Header:
    try:
        # A header is text that NumPy evaluates as a literal. It warns of what Python 2 wrote.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, fortran, dtype = _READERS[np.lib.format.read_magic(file)](file)
        if any(length < 0 for length in shape):
            raise ValueError(f"shape {shape}")
    except (SourceError, zipfile.BadZipFile, OSError):
        raise
    except Exception as error:  # the tokenizer, the parser and NumPy raise whatever they like
        raise unusable(path, name, f"has no readable header ({error}); save it again") from None
    if dtype.hasobject:
        raise unusable(
            path, name, "holds pickled objects, which are never loaded; save numbers or text"
        )
    if dtype.itemsize == 0:
        raise unusable(path, name, f"is of {dtype}, which holds nothing; save numbers or text")
    if fortran and len(shape) > 1:
        raise unusable(path, name, "is in Fortran order; save np.ascontiguousarray of it")
    return Header(name, shape, dtype)
