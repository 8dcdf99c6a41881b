"""Pictures that look enough like photographs, and the ways in which copies of them are changed."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

BICUBIC = Image.Resampling.BICUBIC


def photographs(count: int, size: int = 32, seed: int = 0) -> Pixels:
    """Random fields whose spectrum falls with the frequency, as that of photographs does."""
    rng = np.random.default_rng(seed)
    grid = np.hypot(*np.meshgrid(*[np.fft.fftfreq(size)] * 2))
    grid[0, 0] = 1
    noise = np.fft.fft2(rng.normal(size=(count, 3, size, size))) / grid**1.2
    fields = np.fft.ifft2(noise).real
    shared = fields.mean(axis=1, keepdims=True)  # colours go together more than not
    fields = 2 * shared + fields
    fields /= fields.std(axis=(1, 2, 3), keepdims=True)
    pictures = 128 + 48 * fields.transpose(0, 2, 3, 1)
    return np.clip(pictures, 0, 255).astype(np.uint8)


def jpeg(picture: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def resized(picture: Pixels, size: int, box: tuple[float, ...] | None = None) -> Pixels:
    return np.asarray(Image.fromarray(picture).resize((size, size), BICUBIC, box))


def shifted(picture: Pixels, right: int, down: int) -> Pixels:
    side = len(picture)
    grown = np.pad(picture, ((2, 2), (2, 2), (0, 0)), "edge")
    return grown[2 - down : 2 - down + side, 2 - right : 2 - right + side]


def scaled(picture: Pixels, gain: float, offset: float) -> Pixels:
    return np.clip(picture.astype(float) * gain + offset, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "mirrored": lambda picture: picture[:, ::-1],
    "recompressed": lambda picture: jpeg(picture, 60),
    "brighter": lambda picture: scaled(picture, 1, 20),
    "more contrast": lambda picture: scaled(picture, 1.2, -25),
    "shifted by 1": lambda picture: shifted(picture, -1, 1),
    "shifted by 2": lambda picture: shifted(picture, 2, -1),
    "cropped": lambda picture: resized(picture, 32, (1.0, 2.2, 29.8, 31.0)),
    "rescaled": lambda picture: resized(resized(picture, 20), 32),
    "mirrored, cropped, recompressed": lambda picture: jpeg(
        resized(picture, 32, (2.2, 1.0, 31.0, 29.8))[:, ::-1], 75
    ),
}
