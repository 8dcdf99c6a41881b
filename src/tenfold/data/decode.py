"""From one encoded picture to pixels of one size: the rule that every store follows.

The rule, whose number is `RULE_VERSION`:

1. JPEG, PNG, WebP, BMP and GIF are opened, nothing else; of an animation the first frame.
2. A picture that declares more than `MAX_PIXELS` is refused before any pixel is decoded.
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
import warnings
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

RULE_VERSION = 1
"""Part of a store's key: raise it whenever the rule above gives other pixels."""

MAX_PIXELS = 64 * 2**20
"""The most pixels (width times height) that a picture may declare."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
"""What is opened, by Pillow's names."""

_JPEG_START = b"\xff\xd8\xff"
# EXIF and XMP, the carriers of an orientation, lie in APP1 segments. Compressed JPEG data never
# holds these two bytes, so that a picture without them surely has no orientation.
_APP1 = b"\xff\xe1"


class DecodeError(Exception):
    """A picture cannot become pixels; the message says why, in words."""


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
    if isinstance(content, np.ndarray):
        return _fit_array(_as_rgb(content), size)
    if content[:3] == _JPEG_START and _APP1 not in content:
        pixels = _decode_plain_jpeg(content)
        if pixels is not None:
            return _fit_array(pixels, size)
    return _decode_with_pillow(content, size)


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
        if colour_space in ("YCbCr", "Gray"):
            pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(content, "RGB")
            return pixels
    except ValueError:
        pass
    return None


def _decode_with_pillow(content: bytes, size: int) -> NDArray[np.uint8]:
    # Imported here because a worker that meets only plain JPEGs starts faster without Pillow.
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not content:
        raise DecodeError("the file is empty")
    try:
        # Pillow warns of many oddities, large pictures among them; our answer is yes or no.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _refuse_bomb(*image.size)
                ImageOps.exif_transpose(image, in_place=True)
                return _fit(_image_as_rgb(image), size)
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


def _refuse_bomb(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DecodeError(f"too large: {width} x {height} pixels, the limit is {MAX_PIXELS}")


def _image_as_rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit greyscale, which Pillow would clip to 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _fit_array(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Do what `_fit` does, without making a Pillow image where no pixel changes."""
    if pixels.shape == (size, size, 3):
        return pixels
    from PIL import Image

    return _fit(Image.fromarray(pixels), size)


def _fit(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Cut out the centre square of an RGB image and resize it: uint8 (size, size, 3)."""
    from PIL import Image

    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box))
