"""Bounds against files that declare or expand to more than a picture source can need."""

from __future__ import annotations

from tenfold.errors import SourceError

PICTURE_BYTES = 64 << 20
"""The largest picture file, encoded, that is read."""

CLASSES = 100_000
"""The most classes of a source: what memory holds of it grows with them, and with nothing else."""

_ALLOWANCE = 256 << 20
_RATIO = 200


def check_expansion(source: str, compressed: int, expanded: int) -> None:
    """Refuse an archive that expands far beyond what pictures and arrays do.

    Stored pictures are compressed already and expand by a few per cent, bitmaps and masks by up
    to a hundred; a bomb by a thousand and more.

    Raises:
        SourceError: more than 256 MiB, and more than 200 times the file's own size.
    """
    if expanded > _ALLOWANCE and expanded > _RATIO * compressed:
        raise SourceError(
            f"{source} expands to more than {_RATIO} times its size, as a decompression bomb "
            "does; if it is sound, unpack it and use the folder"
        )


def check_picture(source: str, name: str, size: int) -> None:
    """Refuse a picture file larger than 64 MiB.

    Raises:
        SourceError: it is larger.
    """
    if size > PICTURE_BYTES:
        raise SourceError(
            f"{source}: picture {name!r} takes {size:,} bytes, more than the "
            f"{PICTURE_BYTES >> 20} MiB that are allowed; scale it down, or remove it"
        )


def check_classes(source: str, count: int) -> None:
    """Refuse more than 100,000 classes.

    Raises:
        SourceError: there are more.
    """
    if count > CLASSES:
        raise SourceError(
            f"{source} has more than {CLASSES:,} classes; is what it gives as classes the names of "
            "pictures?"
        )
