"""From pixel values of 0 to 255 to what a network likes, and the record of how it was done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tenfold.data.dataset import Dataset


@dataclass(frozen=True)
class Normalization:
    """An affine map of each channel: ``(value - offset) / scale``.

    Attributes:
        offset: for each channel, in pixel units.
        scale: likewise, above 0.
    """

    offset: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, kind: Literal["minmax", "standard"], dataset: Dataset) -> Normalization:
        """Find the map for a dataset, from its training split only.

        ``minmax`` takes the range of the uint8 pixel to [0, 1], as the lab did over its array;
        ``standard`` takes each channel to mean 0 and standard deviation 1.
        """
        if kind == "minmax":
            return cls(offset=(0.0, 0.0, 0.0), scale=(255.0, 255.0, 255.0))
        mean, deviation = dataset.channel_statistics()
        # A channel that never varies carries nothing; dividing by 1 keeps it at 0.
        scale = np.where(deviation > 0, deviation, 1.0)
        return cls(offset=tuple(mean.tolist()), scale=tuple(scale.tolist()))

    def apply(self, pictures: Any) -> Any:
        """Normalize pictures, float32 (..., C), as NumPy arrays or tensors alike."""
        multiplier = (1.0 / np.asarray(self.scale)).astype(np.float32)
        shift = (-np.asarray(self.offset) / np.asarray(self.scale)).astype(np.float32)
        return pictures * multiplier + shift

    def undo(self, pictures: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The pixels, uint8, that normalized pictures came from, as near as can be."""
        values = pictures * np.asarray(self.scale) + np.asarray(self.offset)
        pixels: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        return pixels
