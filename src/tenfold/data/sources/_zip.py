"""Members of a zip archive, without unpacking to disk."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tenfold.data.sources._limits import check_expansion
from tenfold.data.sources._members import Member, checked_path, refused
from tenfold.errors import SourceError

_ENCRYPTED = 0x1
_TAIL = 66_000  # bytes; where the directory's end record can be
_DIRECTORY = 48 << 20  # of some 600,000 pictures


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip for reading, after its declared sizes were found plausible.

    Raises:
        SourceError: it cannot be read, is damaged or encrypted, or expands like a bomb.
    """
    _check_directory(path)
    with explained(path), zipfile.ZipFile(path) as archive:
        # ZipFile never reads more of a member than it declares, so declared sizes will do.
        expanded = sum(info.file_size for info in archive.infolist())
        check_expansion(str(path), path.stat().st_size, expanded)
        for info in archive.infolist():
            if info.flag_bits & _ENCRYPTED:
                raise SourceError(
                    f"{path}: member {info.filename!r} is encrypted; unpack it with its password "
                    "and use what it holds"
                )
        yield archive


def _check_directory(path: Path) -> None:
    """Refuse a zip whose directory, which ``zipfile`` reads whole, would fill the memory.

    An entry takes 46 bytes and its name in the file, and 700 in memory.
    """
    with explained(path), path.open("rb") as file:
        start = max(0, path.stat().st_size - _TAIL)
        file.seek(start)
        tail = file.read(_TAIL)
    at = tail.rfind(b"PK\x05\x06")
    size = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    at = tail.rfind(b"PK\x06\x06")  # the same in 64 bits; it counts where it is there
    size = max(
        size % 0xFFFFFFFF, int.from_bytes(tail[at + 40 : at + 48], "little") if at >= 0 else 0
    )
    if size > _DIRECTORY:
        raise SourceError(
            f"{path} has a directory of {size:,} bytes, more than fits into memory; unpack it and "
            "use the folder, or pack it as a tar"
        )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What zipfile raises about damage, as one line."""
    try:
        yield
    except (
        zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError,
        # Offsets, lengths and names that zipfile takes as they come.
        struct.error, UnicodeDecodeError, OverflowError,
    ) as error:  # fmt: skip
        reason = str(error) or "it ends too early"
        raise SourceError(
            f"{path} is damaged or truncated ({reason}); copy or download it again"
        ) from None
    except NotImplementedError as error:
        raise SourceError(f"{path} cannot be read ({error}); repack it with deflate") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None


def zip_members(path: Path) -> Iterator[Member]:
    """The regular files of a zip, in its order.

    Raises:
        SourceError: the archive is damaged or encrypted, a name is unsafe, or a member is a link or
            a device.
    """
    with opened_zip(path) as archive:
        for info in archive.infolist():
            member_path = checked_path(str(path), info.orig_filename)
            if info.is_dir():
                continue
            mode = info.external_attr >> 16  # zero when not made on Unix
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise refused(str(path), info.filename, "is a link or a device")
            yield Member(member_path, info.file_size, partial(_read, path, archive, info))


def _read(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with explained(path):
        return archive.read(info)
