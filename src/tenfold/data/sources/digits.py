"""The 1,797 handwritten digits that ship with scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tenfold.data.sources import _fingerprint
from tenfold.data.sources.base import Picture, Source

_FULL_SCALE = 16  # the pictures count dark pixels in 4x4 blocks


class DigitsSource(Source):
    """Greyscale 8x8 pictures of the digits 0 to 9, as classes ``"0"`` to ``"9"``, in no split."""

    kind = "digits"

    def __init__(self) -> None:
        super().__init__("digits")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The ten digits."""
        return tuple("0123456789")

    @property
    def native_size(self) -> int:
        """The digits are 8x8."""
        return 8

    @property
    def expected_count(self) -> int:
        """How many digits there are."""
        return len(self._arrays[0])

    def fingerprint(self) -> str:
        """SHA-256 of the pixels and labels."""
        return _fingerprint.of_records(self.kind, [tuple(part.tobytes() for part in self._arrays)])

    def pictures(self) -> Iterator[Picture]:
        """Every digit as uint8 pixels of shape (8, 8)."""
        images, labels = self._arrays
        for index, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
            yield Picture(f"digits/{index:04}", str(label), None, image)

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        images = np.rint(bunch.images * (255 / _FULL_SCALE)).astype(np.uint8)
        return images, bunch.target.astype(np.int64)
