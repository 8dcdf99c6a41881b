"""Pictures that were made to take the memory, or the time, of whoever decodes them."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tenfold.data import decode as decode_module
from tenfold.data import picture_parts
from tenfold.data.decode import DecodeError, decode


def encode(form: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or Image.new("RGB", (8, 8), "red")).save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes, extra: bytes = b"", color: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )  # fmt: skip


# --- Declared sizes ------------------------------------------------------------------------------

SIDE = 100_000


def spoofed(form: str) -> bytes:
    """A small file that declares as many pixels as its format can, up to 100,000 x 100,000."""
    raw = bytearray(encode(form, Image.new("P" if form == "GIF" else "RGB", (8, 8))))
    match form:
        case "PNG":
            return png(SIDE, SIDE, b"")
        case "BMP":
            struct.pack_into("<ii", raw, 18, SIDE, SIDE)
        case "GIF":  # 16 bits each, for the screen and for the picture on it
            struct.pack_into("<HH", raw, 6, 65535, 65535)
            struct.pack_into("<HH", raw, raw.index(b",\0\0\0\0") + 5, 65535, 65535)
        case "JPEG":
            struct.pack_into(">HH", raw, raw.index(b"\xff\xc0") + 5, 65535, 65535)
        case "WEBP":  # 14 bits each
            struct.pack_into("<HH", raw, raw.index(b"\x9d\x01\x2a") + 3, 16383, 16383)
    return bytes(raw)


def no_pixels(*_: object, **__: object) -> None:
    pytest.fail("a pixel was decoded")


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "JPEG", "WEBP"])
def test_a_picture_of_100_000_pixels_a_side_is_refused_by_its_header(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = spoofed(form)
    monkeypatch.setattr("simplejpeg.decode_jpeg", no_pixels)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", no_pixels)
    with pytest.raises(DecodeError, match="too large"):
        decode(content, 32)


def test_formats_whose_decoders_hold_more_have_lower_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = Image.new("RGB", (16, 16))
    monkeypatch.setattr(decode_module, "MAX_PIXELS_WEBP", 255)
    monkeypatch.setattr(decode_module, "MAX_PIXELS_IN_SCANS", 255)
    monkeypatch.setattr(decode_module, "_LARGE", 255)
    for form, options in (("WEBP", {}), ("JPEG", {"progressive": True})):
        with pytest.raises(DecodeError, match="too large"):
            decode(encode(form, image, **options), 8)
    exif = Image.Exif()
    exif[0x0112] = 3  # by way of Pillow
    with pytest.raises(DecodeError, match="too large"):
        decode(encode("JPEG", image, progressive=True, exif=exif), 8)
    for form in ("PNG", "JPEG", "BMP", "GIF"):
        decode(encode(form, image), 8)


LARGEST = """
import io, resource, sys, zlib
sys.path[:0] = [{tests!r}]
from test_hostile_pictures import chunk, png
from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from tenfold.data import decode

exif = Image.Exif()
exif[0x0112] = 6
Image.MAX_IMAGE_PIXELS = None
kind = sys.argv[1]
if kind == "png":  # transparent and turned: Pillow would copy it five times
    packer = zlib.compressobj(1)
    rows = b"".join([packer.compress(bytes(8192 * 4 + 1)) for _ in range(8192)] + [packer.flush()])
    content = png(8192, 8192, rows, chunk(b"eXIf", exif.tobytes()[6:]), color=6)
    del rows
else:
    side = int(decode.MAX_PIXELS_WEBP**0.5)
    buffer = io.BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "WEBP", lossless=True, method=0)
    content = buffer.getvalue()
    del buffer
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak begins anew
def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
before = peak()
decode.decode(content, 32)
print((peak() - before) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("kind", ["png", "webp"])
def test_the_largest_picture_takes_less_than_500_mb(kind: str) -> None:
    script = LARGEST.format(tests=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", script, kind], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 500


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 90), st.integers(1, 120), st.sampled_from([4, 17, 32, 100]),
    st.integers(0, 9), st.sampled_from(["RGB", "RGBA", "LA", "L", "P", "I;16"]), st.integers(0, 99),
)  # fmt: skip
def test_large_pictures_become_the_pixels_that_small_ones_do(
    height: int, width: int, size: int, orientation: int, mode: str, seed: int
) -> None:
    small = np.random.default_rng(seed).integers(40, 216, (3, 4, 4), np.uint8)
    image = Image.fromarray(small, "RGBA").resize((width, height), Image.Resampling.BILINEAR)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 257)
    else:
        image = image.convert("RGB").convert(mode) if mode in ("L", "P") else image.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode("PNG", image, exif=exif)
    expected = decode(content, size).astype(int)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode_module, "_LARGE", 0)
        patch.setattr(decode_module, "_STRIP", 300)
        strips = decode(content, size)
        if expected.shape[:2] != (height, width):
            pixels = np.asarray(image.convert("RGB"))
            np.testing.assert_allclose(
                decode(pixels, size), plainly(pixels, size), atol=tolerance(*pixels.shape[:2])
            )
    # Of pictures twice as tall as wide, Pillow reduces the height first.
    upright = (width, height) if 5 <= orientation <= 8 else (height, width)
    np.testing.assert_allclose(strips, expected, atol=tolerance(*upright))


def tolerance(height: int, width: int) -> int:
    return 0 if height <= width else 2


def plainly(pixels: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(decode_module._fit(Image.fromarray(pixels), size), int)


# --- Parts ---------------------------------------------------------------------------------------

MANY = 70_000
JPEG, PNG, GIF = encode("JPEG"), encode("PNG"), encode("GIF", Image.new("P", (8, 8), 3))
FIRST = GIF.index(b",\0\0\0\0")
WEBP = encode("WEBP")


def in_gif(parts: bytes) -> bytes:
    return GIF[:FIRST] + parts + GIF[FIRST:]


@pytest.mark.parametrize(
    "content",
    [
        JPEG[:2] + b"\xff\xe1\0\2" * MANY + JPEG[2:],
        JPEG[:2] + b"\xff\xe1\0\2" + b"\xff\xff" * MANY + JPEG[2:],
        JPEG[:2] + b"\xff\xe1\0\2" + b"\0" * MANY + JPEG[2:],
        PNG[:33] + chunk(b"tEXt", b"a\0b") * MANY + PNG[33:],
        PNG[:33] + chunk(b"IDAT", b"") * MANY + PNG[33:],
        in_gif(b"!\xfe" + b"\1c" * MANY + b"\0"),
        in_gif(b"!\xfe\0" * MANY),
        in_gif(b"\1" * MANY),
        WEBP + b"abcd\0\0\0\0" * MANY,
    ],
    ids=["segments", "fill", "junk", "texts", "empty data", "pieces", "extensions", "gif junk",
         "riff"],
)  # fmt: skip
def test_a_picture_of_countless_parts_is_refused_before_it_is_opened(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "open", no_pixels)
    with pytest.raises(DecodeError, match=r"more than 65,536 parts"):
        decode(content, 8)


@pytest.mark.parametrize("exif", [b"", b"\xff\xe1\0\2"])
def test_a_jpeg_of_countless_scans_is_refused(exif: bytes) -> None:
    content = encode("JPEG", Image.new("RGB", (64, 64), "red"), progressive=True)
    content = content[:2] + exif + content[2:]
    last = content[content.rindex(b"\xff\xda") : -2]
    decode(content[:-2] + last * 20 + content[-2:], 8)
    with pytest.raises(DecodeError, match=r"scans"):
        decode(content[:-2] + last * 1000 + content[-2:], 8)


def test_the_scans_of_a_large_jpeg_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode("JPEG", Image.new("RGB", (64, 64), "red"), progressive=True)
    monkeypatch.setattr(decode_module, "_LARGE", 64 * 64 - 1)
    decode(content, 8)
    monkeypatch.setattr(decode_module, "MAX_PIXELS_SCANNED", 64 * 64 * 9)
    with pytest.raises(DecodeError, match=r"10 scans of 4096 pixels"):
        decode(content, 8)


def test_parts_are_counted_as_pillow_wrote_them() -> None:
    def count(parts: Callable[[bytes], object], content: bytes) -> int:
        return len(list(parts(content)))  # type: ignore[call-overload]

    assert count(picture_parts._chunks, PNG) == PNG.count(b"IHDR") + PNG.count(b"IDAT") + 1
    assert count(picture_parts._segments, JPEG) == 1 + 2 + 1 + 4 + 1  # JFIF, DQT, SOF, DHT, SOS
    comment = encode("GIF", Image.new("P", (8, 8)), comment=b"c" * 600)
    assert count(picture_parts._blocks, comment) == 1 + 3
    assert count(picture_parts._riff_chunks, encode("WEBP", exif=b"Exif\0\0abc")) == 3


@pytest.mark.parametrize(("options", "kept"), [({}, False), ({"progressive": True}, True)])
def test_a_jpeg_in_several_scans_is_known_by_its_headers(
    options: dict[str, bool], kept: bool
) -> None:
    for mode in ("RGB", "L", "CMYK"):
        content = encode("JPEG", Image.new(mode, (8, 8)), **options)
        assert picture_parts.keeps_coefficients(content) == kept
    one_scan_a_colour = bytearray(encode("JPEG"))
    one_scan_a_colour[one_scan_a_colour.index(b"\xff\xda") + 4] = 1
    assert picture_parts.keeps_coefficients(bytes(one_scan_a_colour))


@given(st.sampled_from([b"\xff\xd8", b"\x89PNG", b"RIFF", b"GIF8"]), st.binary(max_size=200))
def test_counting_parts_ends_whatever_the_file_is(start: bytes, rest: bytes) -> None:
    picture_parts.check_parts(start + rest)
    picture_parts.keeps_coefficients(start + rest)


# --- What is beside the pixels -------------------------------------------------------------------

BOMB = zlib.compress(bytes(100 << 20), 9)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"k\0\0" + BOMB), chunk(b"iTXt", b"k\0\1\0\0\0" + BOMB),
        chunk(b"iCCP", b"k\0\0" + BOMB), chunk(b"tEXt", b"k\0" + b"x" * (8 << 20)),
    ],
    ids=["zTXt", "iTXt", "iCCP", "tEXt"],
)  # fmt: skip
def test_a_text_or_profile_that_expands_is_not_expanded(
    extra: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = 0
    original = zlib.decompressobj

    def watched(*arguments: object) -> object:
        unpacker = original(*arguments)  # type: ignore[arg-type]

        class Watched:
            unconsumed_tail = b""

            def decompress(self, data: bytes, most: int = 0) -> bytes:
                nonlocal largest
                out = unpacker.decompress(data, most)
                self.unconsumed_tail = unpacker.unconsumed_tail
                largest = max(largest, len(out))
                return out

        return Watched()

    monkeypatch.setattr(zlib, "decompressobj", watched)
    content = PNG[:33] + extra + PNG[33:]
    with suppress(DecodeError):
        assert decode(content, 8).shape == (8, 8, 3)
    assert largest <= 2 << 20


def test_of_a_million_frames_only_the_first_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = GIF[FIRST:-1]
    content = GIF[:FIRST] + frame * (1_000_000 // len(frame) * len(frame) // 8) + b";"
    sought = 0
    original = Image.Image.seek

    def seek(self: Image.Image, frame: int) -> None:
        nonlocal sought
        sought += 1
        original(self, frame)

    monkeypatch.setattr(Image.Image, "seek", seek)
    assert decode(content, 8).shape == (8, 8, 3)
    assert sought == 0


def test_a_picture_that_warns_is_decoded_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(spoofed("PNG")[:8] + PNG[8:], 8).shape == (8, 8, 3)
