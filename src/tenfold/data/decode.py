"""From one encoded picture to pixels of one size: the rule that every store follows.

The rule, whose number is `RULE_VERSION`:

1. JPEG, PNG, WebP, BMP and GIF are opened, nothing else; of an animation the first frame.
2. A picture that declares more than `MAX_PIXELS`, or more than its format's decoder has memory
   for, is refused before any pixel is decoded; so is one of more parts than a picture needs.
3. EXIF (or XMP) orientation is applied.
4. Transparent pixels are laid over white; greyscale, palette and CMYK become RGB; of 16-bit
   samples the high byte is kept.
5. The centre square is cut out; of an odd remainder the extra line is lost right or below.
6. The square is resized with Pillow's bicubic filter, which widens with the reduction and so
   does not alias; smaller pictures are enlarged by the same filter. A square that already has
   the size keeps its pixels, bit for bit.
"""

from __future__ import annotations

import io
import math
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from tenfold.data.picture_parts import (
    MOST_SCANS,
    TooManyPartsError,
    check_parts,
    count_scans,
    keeps_coefficients,
)

if TYPE_CHECKING:
    from PIL import Image

RULE_VERSION = 2
"""Part of a store's key: raise it whenever the rule above gives other pixels."""

MAX_PIXELS = 64 * 2**20
"""The most pixels (width times height) that a picture may declare."""

MAX_PIXELS_WEBP = 24 * 2**20
"""Likewise of a WebP: its decoder holds two canvases, and Pillow two copies, 16 bytes a pixel."""

MAX_PIXELS_IN_SCANS = 40 * 2**20
"""Likewise of a JPEG in several scans: its decoder holds all coefficients, 6 bytes a pixel."""

MAX_PIXELS_SCANNED = 16 * MAX_PIXELS
"""The most pixels that the scans of a JPEG may go over, all together."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
"""What is opened, by Pillow's names."""

PIXELS = "pixels"
"""What stands for the format of a picture that its source holds as pixels."""
_LARGE = 4 * 2**20
"""Pixels from which on a picture is fitted a strip at a time, so that no copy of it is made."""

_Box = tuple[int, int, int, int]

_STRIP = 2**20
"""Pixels of a strip."""

_JPEG_START = b"\xff\xd8\xff"
# EXIF and XMP, the carriers of an orientation, lie in APP1 segments. Compressed JPEG data never
# holds these two bytes, so that a picture without them surely has no orientation.
_APP1 = b"\xff\xe1"


class DecodeError(Exception):
    """A picture cannot become pixels; the message says why, in words."""


class Decoded(NamedTuple):
    """A picture's pixels, and what it was before it was fitted to them.

    Attributes:
        pixels: RGB, uint8, of shape (size, size, 3).
        width: of the original in pixels, as it is seen: after its orientation is applied.
        height: likewise.
        format: one of `FORMATS`, or `PIXELS`.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    format: str


def decode(content: bytes | NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Decode one picture and fit it to a square, by the rule in this module's docstring.

    Args:
        content: the encoded file, or decoded pixels, uint8, of shape (height, width) or
            (height, width, 3).
        size: side of the square in pixels.

    Returns:
        RGB pixels, uint8, of shape (size, size, 3).

    Raises:
        DecodeError: the content is not a picture in one of the formats, is damaged or cut short,
            or declares too many pixels.
    """
    return decode_whole(content, size).pixels


def decode_whole(content: bytes | NDArray[np.uint8], size: int) -> Decoded:
    """Do what `decode` does, and say what the picture was: its own size and format."""
    if isinstance(content, np.ndarray):
        return _fit_array(_as_rgb(content), size, PIXELS)
    if content[:3] == _JPEG_START and _APP1 not in content:
        pixels = _decode_plain_jpeg(content)
        if pixels is not None:
            return _fit_array(pixels, size, "JPEG")
    return _decode_with_pillow(content, size)


def declared_size(content: bytes) -> tuple[int, int]:
    """Width and height by a picture's header, before EXIF orientation; no pixel is decoded.

    Raises:
        DecodeError: the content is not a picture in one of the formats, or its header is damaged.
    """
    if content[:3] == _JPEG_START:
        with suppress(ValueError):  # Pillow may yet make sense of it
            height, width, _, _ = simplejpeg.decode_jpeg_header(content)
            return width, height
    from PIL import Image, UnidentifiedImageError

    try:
        with _QUIET, Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.size
    except UnidentifiedImageError:
        raise DecodeError("not a JPEG, PNG, WebP, BMP or GIF picture, or cut short") from None
    except Image.DecompressionBombError:
        raise DecodeError(f"too large: more than {MAX_PIXELS} pixels") from None
    except Exception as error:  # as in _decode_with_pillow
        raise DecodeError(f"damaged: {error}") from None


def _as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise DecodeError(f"an array of {pixels.dtype} {pixels.shape} is not a picture")
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        return pixels
    raise DecodeError(f"an array of shape {pixels.shape} is not a picture")


def _decode_plain_jpeg(content: bytes) -> NDArray[np.uint8] | None:
    """Decode with libjpeg directly, eight times as fast as through Pillow for small pictures.

    The pixels are Pillow's own, bit for bit. None where Pillow shall judge: another colour space,
    or anything about the file that libjpeg complains of.
    """
    try:
        height, width, colour_space, _ = simplejpeg.decode_jpeg_header(content)
        _refuse_bomb(width, height)
        if width * height > _LARGE or len(content) > _LARGE:
            _refuse_scans(content, width * height)
        if colour_space in ("YCbCr", "Gray"):
            pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(content, "RGB")
            return pixels
    except ValueError:
        pass
    return None


def _decode_with_pillow(content: bytes, size: int) -> Decoded:
    # Imported here because a worker that meets only plain JPEGs starts faster without Pillow.
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not content:
        raise DecodeError("the file is empty")
    try:
        # Pillow warns of many oddities, large pictures among them; our answer is yes or no.
        with _QUIET:
            check_parts(content)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                format_ = str(image.format)
                _refuse_bomb(*image.size, MAX_PIXELS_WEBP if format_ == "WEBP" else MAX_PIXELS)
                if format_ == "JPEG":
                    _refuse_scans(content, image.width * image.height)
                if image.width * image.height > _LARGE:
                    return _fit_large(image, size)
                ImageOps.exif_transpose(image, in_place=True)
                return Decoded(_fit(_image_as_rgb(image), size), *image.size, format_)
    except TooManyPartsError as error:
        raise DecodeError(f"damaged: {error}") from None
    except DecodeError:
        raise
    except UnidentifiedImageError:
        raise DecodeError("not a JPEG, PNG, WebP, BMP or GIF picture, or cut short") from None
    except Image.DecompressionBombError:
        raise DecodeError(f"too large: more than {MAX_PIXELS} pixels") from None
    except Exception as error:
        # Pillow's decoders raise nearly every built-in exception on damaged files, and there is
        # nothing but Pillow inside the try.
        raise DecodeError(f"damaged: {error}") from None


class _Quiet:
    """Ignores warnings while any thread is inside.

    Filters belong to the process. `warnings.catch_warnings` puts back those that it found, which
    are another thread's where two overlap, and so may leave warnings ignored for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._caught.__exit__(None, None, None)


_QUIET = _Quiet()


def _refuse_bomb(width: int, height: int, most: int | None = None) -> None:
    most = MAX_PIXELS if most is None else min(most, MAX_PIXELS)
    if width * height > most:
        raise DecodeError(f"too large: {width} x {height} pixels, the limit is {most}")


def _refuse_scans(content: bytes, pixels: int) -> None:
    """Refuse a JPEG whose scans would take too much memory or time."""
    if pixels > MAX_PIXELS_IN_SCANS and keeps_coefficients(content):
        raise DecodeError(
            f"too large: {pixels} pixels in several scans, the limit is {MAX_PIXELS_IN_SCANS}"
        )
    count = count_scans(content)
    if count > MOST_SCANS or pixels * count > MAX_PIXELS_SCANNED:
        raise DecodeError(f"damaged: {count} scans of {pixels} pixels")


def _image_as_rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit greyscale, which Pillow would clip to 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _fit_array(pixels: NDArray[np.uint8], size: int, format_: str) -> Decoded:
    """Do what `_fit` does, without making a Pillow image where no pixel changes."""
    height, width = pixels.shape[:2]
    fitted = pixels
    if pixels.shape != (size, size, 3):
        from PIL import Image

        if width * height > _LARGE:
            fitted = _fit_strips(
                lambda box: Image.fromarray(pixels[box[1] : box[3]]), width, height, size
            )
        else:
            fitted = _fit(Image.fromarray(pixels), size)
    return Decoded(fitted, width, height, format_)


def _fit(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Cut out the centre square of an RGB image and resize it: uint8 (size, size, 3)."""
    from PIL import Image

    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box))


def _fit_large(image: Image.Image, size: int) -> Decoded:
    """Do what `_fit` does to the upright RGB image, from a file's image as it is."""
    from PIL.ExifTags import Base
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation := image.getexif().get(Base.Orientation, 1))  # fmt: skip
    format_ = str(image.format)
    if turn is None:
        whole = _fit_strips(lambda box: _image_as_rgb(image.crop(box)), *image.size, size)
        return Decoded(whole, *image.size, format_)
    lies = orientation in (5, 6, 7, 8)
    width, height = image.size[::-1] if lies else image.size

    def upright(box: _Box) -> Image.Image:
        left, top, right, bottom = box
        if orientation in (2, 3, 6, 7):
            left, right = width - right, width - left
        if orientation in (3, 4, 7, 8):
            top, bottom = height - bottom, height - top
        stored = (top, left, bottom, right) if lies else (left, top, right, bottom)
        return _image_as_rgb(image.crop(stored).transpose(turn))

    return Decoded(_fit_strips(upright, width, height, size), width, height, format_)


def _fit_strips(
    part: Callable[[_Box], Image.Image], width: int, height: int, size: int
) -> NDArray[np.uint8]:
    """Do what `_fit` does, and hold a strip of rows of the RGB image at a time.

    The filter is applied to each row by itself, and then to each column of what that gives, as
    Pillow does but for pictures much taller than wide; there the order costs it least, and rounding
    in between differs.

    Args:
        part: gives a box (left, top, right, bottom) of the RGB image.
        width: of the whole.
        height: of the whole.
        size: side of the result.
    """
    from PIL import Image

    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    # The filter reaches over two pixels of the result to either side.
    reach = math.ceil(2 * max(side / size, 1)) + 1
    first, last = max(0, top - reach), min(height, top + side + reach)
    narrow = Image.new("RGB", (size, last - first))
    step = max(1, _STRIP // width)
    for start in range(first, last, step):
        stop = min(start + step, last)
        strip = part((0, start, width, stop))
        box = (left, 0, left + side, stop - start)
        strip = strip.resize((size, stop - start), Image.Resampling.BICUBIC, box)
        narrow.paste(strip, (0, start - first))
    box = (0, top - first, size, top - first + side)
    return np.asarray(narrow.resize((size, size), Image.Resampling.BICUBIC, box))
