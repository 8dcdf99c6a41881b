"""Picture files, down to their pixels."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from tenfold.data.decode import decode

from ..mutation import NUMBERS, TEXTS, damaged
from ..reader import File, Reader

SIZE = 8


def encode(form: str, mode: str = "RGB", **options: object) -> bytes:
    """A small picture that is not of one colour."""
    pixels = (np.arange(12 * 10 * 4) * 7 % 256).astype(np.uint8).reshape(12, 10, 4)
    image = Image.fromarray(pixels, "RGBA" if mode == "RGBA" else None).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    return exif.tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG, its checksum right."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png_seeds() -> list[File]:
    modes = ("RGB", "RGBA", "L", "LA", "P", "1")
    frames = [Image.new("RGB", (5, 5), color) for color in ("red", "green")]
    animated = io.BytesIO()
    frames[0].save(animated, "PNG", save_all=True, append_images=frames[1:])
    deep = io.BytesIO()
    Image.fromarray(np.arange(100, dtype=np.uint16).reshape(10, 10) * 600).save(deep, "PNG")
    contents = [*(encode("PNG", mode) for mode in modes), encode("PNG", exif=_exif()),
                animated.getvalue(), deep.getvalue()]  # fmt: skip
    return [File("png", content) for content in contents]


def _jpeg_seeds() -> list[File]:
    contents = [
        encode("JPEG"), encode("JPEG", "L"), encode("JPEG", "CMYK"), encode("JPEG", exif=_exif()),
        encode("JPEG", progressive=True), encode("JPEG", quality=95, subsampling=0, comment=b"hi"),
    ]  # fmt: skip
    return [File("jpeg", content) for content in contents]


def _gif_seeds() -> list[File]:
    frames = [Image.new("P", (9, 9), color) for color in (1, 2, 3)]
    animated = io.BytesIO()
    frames[0].save(animated, "GIF", save_all=True, append_images=frames[1:], comment=b"hello")
    plain = [encode("GIF", "P"), encode("GIF", "L"), encode("GIF", "P", transparency=3)]
    return [File("gif", content) for content in (*plain, animated.getvalue())]


def _webp_seeds() -> list[File]:
    frames = [Image.new("RGBA", (9, 9), color) for color in ("red", "green")]
    animated = io.BytesIO()
    frames[0].save(animated, "WEBP", save_all=True, append_images=frames[1:])
    plain = [encode("WEBP"), encode("WEBP", "RGBA", lossless=True), encode("WEBP", exif=_exif())]
    return [File("webp", content) for content in (*plain, animated.getvalue())]


def _bmp_seeds() -> list[File]:
    return [File("bmp", encode("BMP", mode)) for mode in ("RGB", "L", "P", "1", "RGBA")]


def _mutate_png(rng: Random, seeds: Sequence[File]) -> File:
    """Chunks damaged, doubled, dropped, out of order or made up, their checksums mended."""
    raw = rng.choice(seeds).content
    if rng.random() < 0.3:
        return File("png", damaged(rng, raw, [seed.content for seed in seeds]))
    chunks, at = [], 8
    while at < len(raw):
        length = struct.unpack_from(">I", raw, at)[0]
        chunks.append((raw[at + 4 : at + 8], raw[at + 8 : at + 8 + length]))
        at += 12 + length
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = rng.randrange(len(chunks))
        kind, data = chunks[place]
        match rng.randrange(7):
            case 0:
                chunks.insert(rng.randrange(len(chunks)), chunks[place])
            case 1 if len(chunks) > 1:
                del chunks[place]
            case 2:
                chunks.insert(rng.randrange(len(chunks)), _made_up(rng))
            case 3:
                size = struct.pack(">II", *(rng.choice(NUMBERS) % 2**32 for _ in range(2)))
                detail = bytes(rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255)) for _ in range(5))
                chunks[0] = (b"IHDR", size + (chunks[0][1][8:] if rng.random() < 0.5 else detail))
            case 4 if kind == b"IDAT":
                try:
                    data = zlib.compress(damaged(rng, zlib.decompress(data)))
                except zlib.error:
                    data = zlib.compress(data)
                chunks[place] = (kind, data)
            case _:
                chunks[place] = (kind, damaged(rng, data))
    return File("png", raw[:8] + b"".join(chunk(kind, data) for kind, data in chunks))


def _made_up(rng: Random) -> tuple[bytes, bytes]:
    kinds = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"tRNS", b"PLTE", b"gAMA", b"cHRM", b"pHYs",
             b"acTL", b"fcTL", b"fdAT", b"IDAT", b"IEND", b"sRGB", b"abcd", b"\0\0\0\0")  # fmt: skip
    text = rng.choice(TEXTS).encode("utf-8", "replace")
    packed = zlib.compress(bytes(rng.choice((10, 10_000, 3_000_000))))
    data = (text, b"k\0\0" + packed, b"k\0\1\0\0\0" + packed, rng.randbytes(30), b"", packed)
    return rng.choice(kinds), rng.choice(data)


def _mutate_jpeg(rng: Random, seeds: Sequence[File]) -> File:
    raw = rng.choice(seeds).content
    if rng.random() < 0.5:
        return File("jpeg", damaged(rng, raw, [seed.content for seed in seeds]))
    data = bytearray(raw)
    marks = [at for at in range(2, len(data) - 9) if data[at] == 0xFF and data[at + 1] > 0xBF]
    at = rng.choice(marks)
    match rng.randrange(4):
        case 0:  # the size that the frame declares
            for start in marks:
                if data[start + 1] in (0xC0, 0xC1, 0xC2):
                    size = struct.pack(">HH", *(rng.choice(NUMBERS) % 65536 for _ in range(2)))
                    data[start + 5 : start + 9] = size
        case 1:
            struct.pack_into(">H", data, at + 2, rng.choice(NUMBERS) % 65536)
        case 2:
            data[at + 1] = rng.randrange(0xC0, 0x100)
        case _:
            segment = rng.choice((_exif(), b"Exif\0\0" + rng.randbytes(40), b"ICC_PROFILE\0\1\1",
                                  b"http://ns.adobe.com/xap/1.0/\0" + rng.randbytes(30),
                                  b"Photoshop 3.0\0" + rng.randbytes(30), b"JFIF\0"))  # fmt: skip
            mark = bytes([0xFF, rng.choice((0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE))])
            data[2:2] = mark + struct.pack(">H", len(segment) + 2) + segment
    return File("jpeg", bytes(data))


def _mutate_bytes(rng: Random, seeds: Sequence[File]) -> File:
    """Damage anywhere, in the first bytes above all: they hold the sizes."""
    seed = rng.choice(seeds)
    others = [other.content for other in seeds]
    if rng.random() < 0.5:
        head = damaged(rng, seed.content[:64], others)
        return File(seed.name, head + seed.content[64:])
    return File(seed.name, damaged(rng, seed.content, others))


def _read(file: File, _: Path) -> None:
    pixels = decode(file.content, SIZE)
    assert pixels.shape == (SIZE, SIZE, 3)
    assert pixels.dtype == np.uint8


_Mutate = Callable[[Random, Sequence[File]], File]


def _reader(name: str, seeds: Callable[[], list[File]], mutate: _Mutate, share: float) -> Reader:
    return Reader(name, seeds, mutate, _read, share)


READERS = (
    _reader("png", _png_seeds, _mutate_png, 5),
    _reader("jpeg", _jpeg_seeds, _mutate_jpeg, 5),
    _reader("webp", _webp_seeds, _mutate_bytes, 3),
    _reader("gif", _gif_seeds, _mutate_bytes, 3),
    _reader("bmp", _bmp_seeds, _mutate_bytes, 3),
)
