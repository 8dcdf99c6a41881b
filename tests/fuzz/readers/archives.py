"""Zips and tars, in every compression, of a class-per-folder tree."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from tenfold.data.sources import open_source

from ..mutation import NUMBERS, TEXTS, damaged
from ..reader import File, Reader

_PICTURE = b"\x89PNG\r\n\x1a\n not looked into"
_FILES = {
    "train/cat/1.png": _PICTURE, "train/dog/2.PNG": b"two" * 200, "notes.txt": b"-" * 700,
    "test/cat/3.png": b"", "test/dog/4.jpg": bytes(range(256)) * 3,
}  # fmt: skip
_PACK: dict[str, Callable[[bytes], bytes]] = {
    "p.tar": bytes,
    "p.tar.gz": lambda raw: gzip.compress(raw, 1, mtime=0),
    "p.tar.bz2": lambda raw: bz2.compress(raw, 1),
    "p.tar.xz": lambda raw: lzma.compress(raw, preset=0),
}
_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "p.tar": bytes, "p.tar.gz": gzip.decompress,
    "p.tar.bz2": bz2.decompress, "p.tar.xz": lzma.decompress,
}  # fmt: skip
# Where a header's fields start and end: name, mode, owner, group, size, time, checksum, type,
# link, magic, device, prefix; and GNU's sparse maps, over the prefix.
_FIELDS = [
    (0, 100), (100, 108), (108, 116), (116, 124), (124, 136), (136, 148), (148, 156), (156, 157),
    (157, 257), (257, 265), (329, 337), (337, 345), (345, 500), (386, 398), (398, 410), (482, 483),
    (483, 495),
]  # fmt: skip
_TYPES = b"\x000123456789ABDEFGIKLMNPSVXZgx~"


def read(file: File, folder: Path) -> None:
    """Everything that a source gives of an archive."""
    path = folder / file.name
    path.write_bytes(file.content)
    source = open_source(path)
    source.fingerprint()
    for picture in source.pictures():
        len(picture.content)


def tar(files: dict[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar of these files, the same each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these files, the same each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def _tar_seeds() -> list[File]:
    long = {**_FILES, "train/" + "é" * 70 + "/" + "x" * 90 + ".png": b"5"}
    del long["notes.txt"]
    plain = [
        tar(_FILES),
        tar(_FILES, tarfile.USTAR_FORMAT),
        tar(long, tarfile.PAX_FORMAT),
        tar(long),
    ]
    return [File(name, pack(raw)) for name, pack in _PACK.items() for raw in plain]


def _mutate_tar(rng: Random, seeds: Sequence[File]) -> File:
    seed = rng.choice(seeds)
    if rng.random() < 0.3:
        return File(seed.name, damaged(rng, seed.content, [other.content for other in seeds]))
    raw = bytearray(_UNPACK[seed.name](seed.content))
    for _ in range(rng.choice((1, 1, 2, 4))):
        _damage_header(rng, raw)
    if rng.random() < 0.2:
        raw = bytearray(damaged(rng, bytes(raw)))
    return File(seed.name, _PACK[seed.name](bytes(raw)))


def _damage_header(rng: Random, raw: bytearray) -> None:
    """Set a field of some header to something hostile, and mostly mend the checksum."""
    headers = [at for at in range(0, len(raw), 512) if raw[at + 257 : at + 262] == b"ustar"]
    if not headers:
        return
    at = rng.choice(headers)
    start, end = rng.choice(_FIELDS)
    width = end - start
    number = rng.choice(NUMBERS)
    match rng.randrange(6):
        case 0:
            value = b"%0*o" % (width - 1, abs(number)) if width > 1 else b"7"
        case 1:  # GNU's base 256
            value = (number % 256**width).to_bytes(width, "big")
            value = bytes([0x80 if number >= 0 else 0xFF]) + value[1:]
        case 2:
            value = rng.choice(TEXTS).encode(errors="replace")
        case 3:
            value = rng.randbytes(width)
        case 4:
            start, end, width = 156, 157, 1
            value = bytes([rng.choice(_TYPES)])
        case _:
            value = b"%d" % number
    raw[at + start : at + end] = value[:width].ljust(width, b"\0")
    if rng.random() < 0.9:
        raw[at + 148 : at + 156] = b" " * 8
        raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + 512])


def _zip_seeds() -> list[File]:
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    seeds = [File("p.zip", zipped(_FILES, method)) for method in methods]
    return [*seeds, File("p.zip", zipped({"é/1.png": b"1", "b/2.png": b"2"}))]


def _mutate_zip(rng: Random, seeds: Sequence[File]) -> File:
    seed = rng.choice(seeds)
    if rng.random() < 0.4:
        return File(seed.name, damaged(rng, seed.content, [other.content for other in seeds]))
    raw = bytearray(seed.content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        _damage_record(rng, raw)
    return File(seed.name, bytes(raw))


def _damage_record(rng: Random, raw: bytearray) -> None:
    """Set a field of a local header, a directory entry or the end record."""
    magic, size = rng.choice(((b"PK\x03\x04", 30), (b"PK\x01\x02", 46), (b"PK\x05\x06", 22)))
    places = [at for at in range(len(raw) - size + 1) if raw[at : at + 4] == magic]
    if not places:
        return
    at = rng.choice(places)
    width, letter = rng.choice(((2, "H"), (4, "I")))
    offset = rng.randrange(2, (size - width) // 2 + 1) * 2
    struct.pack_into("<" + letter, raw, at + offset, rng.choice(NUMBERS) % 256**width)
    if rng.random() < 0.2:  # the name
        text = rng.choice(TEXTS).encode(errors="replace")[:15]
        raw[at + size : at + size + len(text)] = text


READERS = (
    Reader("tar", _tar_seeds, _mutate_tar, read, 3),
    Reader("zip", _zip_seeds, _mutate_zip, read, 3),
)
