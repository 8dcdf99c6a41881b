"""From a picture in a request to the pixels that the model takes, within limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tenfold.data.decode import DecodeError, declared_size, decode

SMALL = 512 * 512
"""Pixels of a picture that is decoded in a few milliseconds, and so holds up no batch."""


class TooManyPixelsError(DecodeError):
    """A picture declares more pixels than the server decodes."""


def check_pixels(content: bytes, most: int) -> int:
    """The pixels, width times height, that a picture declares.

    Raises:
        TooManyPixelsError: they are more than ``most``.
        DecodeError: this is no picture.
    """
    width, height = declared_size(content)
    if width * height > most:
        raise TooManyPixelsError(f"it has {width} x {height} pixels, and the limit is {most:,}")
    return width * height


def decode_checked(content: bytes, size: int) -> NDArray[np.uint8]:
    """Decode a picture that has been checked: uint8 (size, size, 3).

    Raises:
        DecodeError: it is damaged, or there is no memory for it.
    """
    try:
        return decode(content, size)
    except MemoryError:
        raise DecodeError("there is no memory to decode it; send a smaller one") from None
