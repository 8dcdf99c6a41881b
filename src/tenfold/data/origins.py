"""What a store's pictures were before they were decoded: their names, own sizes, formats, digests.

Two files beside the pixels, which grow by appending and are read in parts, so that a million names
are never in memory:

    names.raw     the names in UTF-8, end to end
    origins.raw   for each picture one `ROW`: where its name ends in ``names.raw``, and its `ORIGIN`
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from tenfold.data.decode_worker import FORMAT_NAMES, ORIGIN

NAMES, ROWS = "names.raw", "origins.raw"

ROW = np.dtype([("name_end", "<u8"), *((name, ORIGIN[name]) for name in ORIGIN.names or ())])

_BLOCK_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Origin:
    """What one picture was.

    Attributes:
        name: where it lies in its source.
        width: its own, in pixels.
        height: likewise.
        format: ``JPEG``, ``PNG``, ``WEBP``, ``BMP``, ``GIF``, or ``pixels``.
    """

    name: str
    width: int
    height: int
    format: str


class OriginWriter:
    """Writes both files into a folder, picture by picture; closing makes them durable."""

    def __init__(self, folder: Path) -> None:
        self._names: BinaryIO = (folder / NAMES).open("xb")
        self._rows: BinaryIO = (folder / ROWS).open("xb")
        self._end = 0

    def append(self, names: Sequence[str], origins: NDArray[np.void]) -> None:
        """Add pictures.

        Args:
            names: one for each.
            origins: `ORIGIN` (n,).
        """
        encoded = [name.encode("utf-8", "backslashreplace") for name in names]
        rows = np.empty(len(encoded), ROW)
        rows["name_end"] = self._end + np.cumsum([len(name) for name in encoded])
        for field in ORIGIN.names or ():
            rows[field] = origins[field]
        self._end = int(rows["name_end"][-1]) if len(rows) else self._end
        self._names.write(b"".join(encoded))
        self._rows.write(rows.tobytes())

    @property
    def names_bytes(self) -> int:
        """How long the file of names has become."""
        return self._end

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                for file in (self._names, self._rows):
                    file.flush()
                    os.fsync(file.fileno())
        finally:
            self._names.close()
            self._rows.close()


class Origins:
    """Reads what `OriginWriter` wrote. Making this object touches nothing.

    Args:
        folder: the store's.
        count: how many pictures it has.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count

    def __len__(self) -> int:
        return self._count

    def blocks(self) -> Iterator[tuple[int, NDArray[np.void]]]:
        """All rows in order, some at a time: the position of the first, and `ROW` (n,)."""
        with (self._folder / ROWS).open("rb") as file:
            for start in range(0, self._count, _BLOCK_ROWS):
                wanted = min(_BLOCK_ROWS, self._count - start) * ROW.itemsize
                yield start, np.frombuffer(file.read(wanted), ROW)

    def digests(self) -> NDArray[np.uint64]:
        """The digest of every picture's pixels: uint64 (N, 2), sixteen bytes a picture."""
        digests = np.empty((self._count, 2), np.uint64)
        for start, rows in self.blocks():
            digests[start : start + len(rows)] = rows["digest"]
        return digests

    def __getitem__(self, position: int) -> Origin:
        """What one picture was.

        Raises:
            IndexError: there is no such position.
        """
        if not 0 <= position < self._count:
            raise IndexError(f"picture {position} of {self._count}")
        first = max(0, position - 1)
        with (self._folder / ROWS).open("rb") as file:
            file.seek(first * ROW.itemsize)
            rows = np.frombuffer(file.read((position - first + 1) * ROW.itemsize), ROW)
        begin = int(rows["name_end"][0]) if position else 0
        row = rows[-1]
        with (self._folder / NAMES).open("rb") as file:
            file.seek(begin)
            name = file.read(int(row["name_end"]) - begin).decode("utf-8", "replace")
        return Origin(name, int(row["width"]), int(row["height"]), FORMAT_NAMES[row["format"]])
