"""Reading rows of a large array without its pages becoming resident."""

from __future__ import annotations

import mmap
import os
import weakref

import numpy as np
from numpy.typing import NDArray

from tenfold.errors import SourceError


class RowReader:
    """Gathers rows of pixels, from a memory-mapped file by reading and not by touching it.

    A page of a mapping counts as resident memory from its first touch on, and the kernel maps
    whole neighbourhoods at once, so that gathering shuffled rows would soon count the whole store.
    Returning the pages (``MADV_DONTNEED``) costs more than positional reads do, 6 to 14 against
    3 to 4 microseconds a row of 3,072 bytes, and more the larger the store is.

    Args:
        images: uint8 (N, H, W, 3). Anything but a whole memory-mapped file is indexed directly.
    """

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._images = images
        self._descriptor: int | None = None
        self._offset = 0
        base: object = images.base  # a mapping for a whole file, an array for a part of one
        if isinstance(images, np.memmap) and isinstance(base, mmap.mmap):
            self._name = str(images.filename)
            self._descriptor = os.open(self._name, os.O_RDONLY)
            self._offset = images.offset
            weakref.finalize(self, os.close, self._descriptor)

    def read(self, rows: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Copy rows out of the array; threads may call it at the same time.

        Args:
            rows: positions, integers (n,), each from 0 to N - 1.

        Returns:
            uint8 (n, H, W, 3).

        Raises:
            IndexError: a position is out of range.
            SourceError: the file was cut short since it was opened.
        """
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self._images):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(self._images)}")
        if self._descriptor is None:
            return np.asarray(self._images[rows])
        out = np.empty((len(rows), *self._images.shape[1:]), np.uint8)
        row_bytes = self._images[:1].nbytes
        flat = out.reshape(len(rows), row_bytes)
        offsets = self._offset + rows.astype(np.int64) * row_bytes
        for row, offset in zip(flat, offsets.tolist(), strict=True):
            if os.preadv(self._descriptor, [row.data], offset) != row_bytes:
                raise SourceError(
                    f"the prepared pictures in {self._name} are fewer than when they were opened; "
                    "run the command again, and it prepares them anew"
                )
        return out
