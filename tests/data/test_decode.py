"""One encoded picture to pixels: formats, colours, orientation, the size rule, and refusals."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tarfile
import zlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tenfold.data import decode as decode_module
from tenfold.data.decode import DecodeError, decode

CIFAR_ARCHIVE = Path(__file__).parents[3] / "shared/data/cifar10-images.tar.xz"


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth colourful picture, so that lossy formats stay near it."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))


def encode(image: Image.Image | NDArray[np.uint8], format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG that declares a size, and one byte of compressed data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"\x00")


# --- Formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format_", "options"),
    [("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {}), ("PNG", {"compress_level": 0})],
)
def test_lossless_formats_give_back_every_pixel(format_: str, options: dict[str, object]) -> None:
    pixels = picture(32, 32)
    decoded = decode(encode(pixels, format_, **options), 32)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("size", [8, 31, 32, 77])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_pixels_are_those_of_pillow(size: int, subsampling: str, progressive: bool) -> None:
    content = encode(
        picture(size, size), "JPEG", subsampling=subsampling, progressive=progressive, quality=70
    )
    with Image.open(io.BytesIO(content)) as image:
        np.testing.assert_array_equal(decode(content, size), np.asarray(image))


def test_cifar_jpeg_pixels_are_those_of_pillow() -> None:
    if not CIFAR_ARCHIVE.is_file():
        pytest.skip("needs ../shared/data/cifar10-images.tar.xz")
    with tarfile.open(CIFAR_ARCHIVE, "r|xz") as archive:
        for member in islice(filter(tarfile.TarInfo.isfile, archive), 200):
            file = archive.extractfile(member)
            assert file is not None
            content = file.read()
            with Image.open(io.BytesIO(content)) as image:
                np.testing.assert_array_equal(decode(content, 32), np.asarray(image))


def test_of_an_animation_the_first_frame_is_taken() -> None:
    red, blue = (Image.new("RGB", (16, 16), colour) for colour in ("red", "blue"))
    for format_ in ("GIF", "WEBP", "PNG"):
        content = encode(red, format_, save_all=True, append_images=[blue])
        decoded = decode(content, 16).astype(int)
        assert np.abs(decoded - [255, 0, 0]).max() <= 4, format_


def test_other_formats_are_not_opened() -> None:
    for format_ in ("TIFF", "ICO", "PPM", "TGA"):
        with pytest.raises(DecodeError, match="not a JPEG, PNG, WebP, BMP or GIF"):
            decode(encode(picture(16, 16), format_), 16)


def test_decoded_pixels_pass_through() -> None:
    pixels = picture(16, 16)
    np.testing.assert_array_equal(decode(pixels, 16), pixels)
    grey = np.ascontiguousarray(pixels[:, :, 0])
    np.testing.assert_array_equal(decode(grey, 16), np.stack([grey] * 3, axis=2))
    planar_slice = np.moveaxis(np.ascontiguousarray(np.moveaxis(pixels, 2, 0)), 0, 2)
    assert not planar_slice.flags.c_contiguous
    np.testing.assert_array_equal(decode(planar_slice, 8), decode(pixels, 8))


@pytest.mark.parametrize("shape", [(4, 4, 4), (4,), (0, 4, 3), (1, 4, 4, 3)])
def test_arrays_that_are_no_pictures_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DecodeError, match="is not a picture"):
        decode(np.zeros(shape, np.uint8), 4)


def test_arrays_of_another_type_are_refused() -> None:
    with pytest.raises(DecodeError, match="float32"):
        decode(np.zeros((4, 4, 3), np.float32), 4)  # type: ignore[arg-type]


# --- Colours -------------------------------------------------------------------------------------


def test_greyscale_becomes_three_equal_channels() -> None:
    grey = np.ascontiguousarray(picture(16, 16)[:, :, 0])
    decoded = decode(encode(grey, "PNG"), 16)
    np.testing.assert_array_equal(decoded, np.stack([grey] * 3, axis=2))
    jpeg = decode(encode(grey, "JPEG", quality=95), 16)
    assert np.abs(jpeg.astype(int) - decoded).max() < 12
    assert (jpeg[..., 0] == jpeg[..., 2]).all()


def test_black_and_white_becomes_0_and_255() -> None:
    bits = picture(16, 16)[:, :, 0] > 128
    decoded = decode(encode(Image.fromarray(bits), "PNG"), 16)
    np.testing.assert_array_equal(decoded, np.stack([bits * np.uint8(255)] * 3, axis=2))


def test_of_16_bit_grey_the_high_byte_is_kept() -> None:
    high = np.arange(256, dtype=np.uint16).reshape(16, 16)
    content = encode(Image.fromarray(high << 8 | 77), "PNG")
    np.testing.assert_array_equal(decode(content, 16)[..., 0], high)


def test_palette_colours_are_looked_up() -> None:
    image = Image.fromarray(picture(16, 16)).quantize(7)
    np.testing.assert_array_equal(
        decode(encode(image, "PNG"), 16), np.asarray(image.convert("RGB"))
    )
    np.testing.assert_array_equal(
        decode(encode(image, "GIF"), 16), np.asarray(image.convert("RGB"))
    )


def test_transparency_is_laid_over_white() -> None:
    pixels = picture(16, 16)
    alpha = np.tile(np.linspace(0, 255, 16, dtype=np.uint8), (16, 1))
    content = encode(np.dstack([pixels, alpha]), "PNG")
    opacity = alpha[..., np.newaxis] / 255
    expected = pixels * opacity + 255 * (1 - opacity)
    assert np.abs(decode(content, 16) - expected).max() <= 1

    grey_alpha = Image.fromarray(np.dstack([pixels[..., 0], alpha]), "LA")
    expected = pixels[..., :1] * opacity + 255 * (1 - opacity)
    assert np.abs(decode(encode(grey_alpha, "PNG"), 16) - expected).max() <= 1


@pytest.mark.parametrize("format_", ["PNG", "GIF"])
def test_a_transparent_palette_colour_becomes_white(format_: str) -> None:
    indices = np.zeros((8, 8), np.uint8)
    indices[:, 4:] = 1
    image = Image.fromarray(indices)
    image.putpalette([10, 20, 30, 40, 50, 60])
    decoded = decode(encode(image, format_, transparency=1), 8)
    assert (decoded[:, :4] == [10, 20, 30]).all()
    assert (decoded[:, 4:] == 255).all()


def test_a_transparent_rgb_colour_becomes_white() -> None:
    image = Image.new("RGB", (8, 8), (1, 2, 3))
    image.paste((9, 9, 9), (0, 0, 4, 8))
    decoded = decode(encode(image, "PNG", transparency=(1, 2, 3)), 8)
    assert (decoded[:, :4] == 9).all()
    assert (decoded[:, 4:] == 255).all()


def test_cmyk_jpeg_becomes_rgb() -> None:
    for colour in ((200, 30, 40), (20, 180, 90), (255, 255, 255), (0, 0, 0)):
        image = Image.new("RGB", (16, 16), colour).convert("CMYK")
        decoded = decode(encode(image, "JPEG", quality=95), 16)
        assert np.abs(decoded.astype(int) - colour).max() <= 6


# --- Orientation ---------------------------------------------------------------------------------

UPRIGHT = {  # EXIF orientation: what turns the stored pixels upright
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p.transpose(1, 0, 2), 2),
    8: lambda p: np.rot90(p, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, format_: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format_ == "WEBP" else {}
    pixels = picture(16, 16)
    content = encode(pixels, format_, exif=exif, **options)
    with Image.open(io.BytesIO(content)) as image:
        stored = np.asarray(image)
    np.testing.assert_array_equal(decode(content, 16), UPRIGHT[orientation](stored))


def test_orientation_comes_before_the_crop() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = picture(16, 21)
    upright = np.rot90(pixels, -1)
    np.testing.assert_array_equal(decode(encode(pixels, "PNG", exif=exif), 16), upright[2:18])


# --- Size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(16, 21), (21, 16), (16, 16), (16, 160)])
def test_the_centre_square_is_cut_out(height: int, width: int) -> None:
    pixels = picture(height, width)
    top, left = (height - 16) // 2, (width - 16) // 2
    expected = pixels[top : top + 16, left : left + 16]
    np.testing.assert_array_equal(decode(encode(pixels, "PNG"), 16), expected)
    np.testing.assert_array_equal(decode(pixels, 16), expected)


def cubic_weights(length: int, size: int) -> NDArray[np.float64]:
    """Keys' cubic kernel (a = -1/2), widened by the reduction: (size, length), rows sum to 1."""
    scale = length / size
    stretch = max(scale, 1.0)
    weights = np.zeros((size, length))
    for target in range(size):
        for place in range(length):
            x = abs((place + 0.5 - (target + 0.5) * scale) / stretch)
            if x < 1:
                weights[target, place] = 1.5 * x**3 - 2.5 * x**2 + 1
            elif x < 2:
                weights[target, place] = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("length", "size"), [(100, 32), (33, 32), (48, 17), (10, 32), (1, 8)])
def test_resizing_is_a_widened_cubic_filter(length: int, size: int) -> None:
    # Kept from both ends of the range, because Pillow clips overshoots between its two passes.
    pixels = np.random.default_rng(1).integers(64, 192, (length, length, 3), dtype=np.uint8)
    weights = cubic_weights(length, size)
    expected = np.einsum("yh,xw,hwc->yxc", weights, weights, pixels.astype(np.float64))
    assert np.abs(decode(encode(pixels, "PNG"), size) - expected).max() <= 1.5


def test_fine_stripes_do_not_alias() -> None:
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(decode(encode(stripes, "PNG"), 30)[:, 2:-2].astype(int) - 127).max() <= 12


# --- Refusals ------------------------------------------------------------------------------------


def no_pixels(*_: object, **__: object) -> None:
    pytest.fail("a pixel was decoded")


@pytest.mark.parametrize("side", [8193, 12_000, 100_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image.Image, "load", no_pixels)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", no_pixels)
    with pytest.raises(DecodeError, match="too large"):
        decode(png_header(side, side), 32)


def test_a_jpeg_bomb_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simplejpeg.decode_jpeg", no_pixels)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", no_pixels)
    content = encode(picture(16, 16), "JPEG")
    frame = content.index(b"\xff\xc0") + 5
    bomb = content[:frame] + struct.pack(">HH", 9000, 9000) + content[frame + 4 :]
    with pytest.raises(DecodeError, match="too large: 9000 x 9000 pixels"):
        decode(bomb, 32)


def test_the_limit_itself_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 16 * 16)
    for format_ in ("PNG", "JPEG"):
        decode(encode(picture(16, 16), format_), 8)
        with pytest.raises(DecodeError, match="too large"):
            decode(encode(picture(16, 17), format_), 8)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_a_picture_cut_short_is_refused(format_: str) -> None:
    content = encode(picture(64, 64), format_)
    for share in (0.05, 0.5, 0.9):
        with pytest.raises(DecodeError, match=r"cut short|damaged"):
            decode(content[: int(len(content) * share)], 32)


def test_the_reason_is_told_in_words() -> None:
    with pytest.raises(DecodeError, match="empty"):
        decode(b"", 32)
    with pytest.raises(DecodeError, match="not a JPEG"):
        decode(b"<html>not found</html>", 32)
    with pytest.raises(DecodeError, match="truncated"):
        decode(encode(picture(64, 64), "JPEG")[:-200], 32)


SEEDS = [encode(picture(12, 9), format_) for format_ in ("JPEG", "PNG", "WEBP", "BMP", "GIF")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_damage_gives_a_picture_or_a_reason(content: bytes, data: st.DataObject) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    try:
        decoded = decode(bytes(damaged), 8)
    except DecodeError as error:
        assert str(error)
    else:
        assert decoded.shape == (8, 8, 3)


# --- Cost ----------------------------------------------------------------------------------------


def test_a_worker_imports_nothing_heavy() -> None:
    script = "import sys, tenfold.data.decode_worker; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"tensorflow", "keras", "PIL", "scipy", "sklearn", "matplotlib", "pyarrow", "pydantic"}
    assert not heavy & set(modules)
