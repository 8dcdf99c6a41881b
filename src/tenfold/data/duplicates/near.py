"""Finding copies that were changed: mirrored, recompressed, brightened, shifted, cropped, rescaled.

One pass over the pictures leaves two files in a scratch folder, a small grey picture and a
descriptor of each. Pairs that the descriptors bring together are then laid over each other. All is
read from disk in parts: memory does not depend on the number of pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tenfold.data.duplicates.align import SIDE, likeness
from tenfold.data.duplicates.descriptors import LENGTH, Weighting, describe
from tenfold.data.duplicates.search import candidates
from tenfold.data.rows import RowReader

LEAST = 0.93
"""Likeness from which on two pictures are duplicates. Chosen by looking at pairs of CIFAR-10: above
it nearly every pair is one photograph, below it horizons and look-alikes begin to come in."""

SMALLEST = 16
"""Side in pixels, of the original and of the store, below which pictures are not compared: two
different digits of 8x8 pixels may be as alike as a copy."""

Progress = Callable[[int, int], None]
"""Called with the number of pairs of pictures compared, and of all pairs."""

_BLOCK = 2048
_BATCH = 256
_DESCRIBED = 512
_DESCRIBED_BYTES = 16 * 2**20


class NearPairs(NamedTuple):
    """Pairs of pictures that are one, changed.

    Attributes:
        pairs: int64 (n, 2), positions in the store, the lower one first, in rising order.
        mirrored: bool (n,), whether one is the other's mirror image.
        likeness: float32 (n,), see `tenfold.data.duplicates.align`.
    """

    pairs: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    likeness: NDArray[np.float32]


def find_near(
    images: NDArray[np.uint8],
    positions: NDArray[np.int64],
    scratch: Path,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> NearPairs:
    """Find pairs of pictures that are copies of one another.

    The result does not depend on the number of workers.

    Args:
        images: uint8 (N, size, size, 3), the store's.
        positions: int64 (n,), the pictures to compare, rising, no two equal in every pixel.
        scratch: an empty folder for temporary files, 1,204 bytes a picture.
        workers: threads to use.
        progress: told how far the search is.
    """
    prepared = _Prepared(scratch, images, positions)
    count = len(positions)
    starts = range(0, count, _BLOCK)
    found = [NearPairs(np.empty((0, 2), np.int64), np.empty(0, bool), np.empty(0, np.float32))]
    done = 0
    # Each thread has a core to itself, so that the matrix products need no threads of theirs.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as threads:
        try:
            for start, part in zip(starts, threads.map(prepared.look, starts), strict=True):
                found.append(part)
                done += sum(range(count - min(start + _BLOCK, count), count - start))
                if progress is not None:
                    progress(done, count * (count - 1) // 2)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    pairs, mirrored, alike = zip(*found, strict=True)
    return NearPairs(np.concatenate(pairs), np.concatenate(mirrored), np.concatenate(alike))


class _Prepared:
    """Small grey pictures and descriptors on disk, and what looks at them."""

    def __init__(
        self, folder: Path, images: NDArray[np.uint8], positions: NDArray[np.int64]
    ) -> None:
        self._positions = positions
        self._descriptors = folder / "descriptors"
        self._weighting = Weighting()
        reader = RowReader(images)
        most = max(1, min(_DESCRIBED, _DESCRIBED_BYTES // (images.shape[1] ** 2 * 3)))
        with self._descriptors.open("wb") as numbers, (folder / "grey").open("wb") as pictures:
            for start in range(0, len(positions), most):
                descriptors, grey = describe(reader.read(positions[start : start + most]))
                self._weighting.add(descriptors)
                numbers.write(descriptors.tobytes())
                pictures.write(grey.tobytes())
        self._grey = RowReader(_mapped(folder / "grey", len(positions)))

    def look(self, start: int) -> NearPairs:
        """The duplicates of a block's pictures among themselves and those after them."""
        count = len(self._positions)
        pairs = candidates(self._load, start, min(start + _BLOCK, count), count)
        alike = np.empty(len(pairs.first), np.float32)
        for at in range(0, len(alike), _BATCH):
            batch = slice(at, at + _BATCH)
            laid, mirrored = self._grey.read(pairs.second[batch]), pairs.mirrored[batch]
            laid[mirrored] = laid[mirrored, :, ::-1]
            seen = self._grey.read(pairs.first[batch])
            alike[batch] = likeness(seen.astype(np.float32), laid.astype(np.float32))
        kept = np.flatnonzero(alike >= LEAST)
        # A pair that was looked at both ways counts once, the way in which it is more alike.
        order = kept[np.lexsort((-alike[kept], pairs.second[kept], pairs.first[kept]))]
        first, second = pairs.first[order], pairs.second[order]
        once = np.ones(len(order), bool)
        once[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
        order = order[once]
        return NearPairs(
            self._positions[np.stack([pairs.first[order], pairs.second[order]], axis=1)],
            pairs.mirrored[order],
            alike[order],
        )

    def _load(self, start: int, stop: int) -> NDArray[np.float32]:
        numbers = np.fromfile(
            self._descriptors,
            np.float32,
            (stop - start) * LENGTH,
            offset=start * LENGTH * 4,
        )
        return self._weighting.apply(numbers.reshape(-1, LENGTH))


def _mapped(path: Path, count: int) -> NDArray[np.uint8]:
    shape = (count, SIDE, SIDE)
    return np.memmap(path, np.uint8, mode="r", shape=shape) if count else np.empty(shape, np.uint8)
