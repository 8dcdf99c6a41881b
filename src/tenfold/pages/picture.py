"""Pictures inside a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LARGEST = 160
"""Longer side in pixels of a picture inside a page: a larger one shrinks to it."""

_LARGEST_EXACT = 64


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """A picture as the address that an ``<img>`` shows without asking any network.

    A small picture keeps every pixel, as PNG; show it with the class ``pixels``, which keeps them
    crisp. A larger one is a JPEG of at most `LARGEST` pixels, so that a page's size stays bounded.

    Args:
        pixels: uint8 (H, W, 3).
    """
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    if max(image.size) <= _LARGEST_EXACT:
        image.save(buffer, "PNG", optimize=True)
        form = "png"
    else:
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        image.save(buffer, "JPEG", quality=88)
        form = "jpeg"
    return f"data:image/{form};base64,{base64.b64encode(buffer.getvalue()).decode()}"
