"""What every kind of source offers: pictures one by one, with a class and perhaps a split."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as its source holds it.

    Attributes:
        name: where it lies inside the source; what an error message calls it.
        label: its class, by name.
        split: the split that the source puts it in; None where the source does not say.
        content: the encoded file (JPEG, PNG, WebP, BMP, GIF), or decoded pixels, uint8, of shape
            (height, width) or (height, width, 3).
    """

    name: str
    label: str
    split: SplitName | None
    content: bytes | NDArray[np.uint8]


class Source(ABC):
    """Where pictures come from. Reading one twice gives the same pictures in the same order."""

    kind: str
    """The kind of source in a word, as in ``folder``, ``archive``, ``cifar``."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classes in label order where the source defines one; None: sorted as they come."""
        return None

    @property
    def native_size(self) -> int | None:
        """Side in pixels if every picture is the same known square; else None."""
        return None

    @property
    def expected_count(self) -> int | None:
        """How many pictures there are, where that is known before reading; for progress only."""
        return None

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256, in hex, that changes whenever the pictures, labels or splits do.

        Raises:
            SourceError: the source cannot be read.
        """

    @abstractmethod
    def pictures(self) -> Iterator[Picture]:
        """Every picture once, in a fixed order, in bounded memory.

        Raises:
            SourceError: the source is damaged, hostile, or holds no pictures.
        """
