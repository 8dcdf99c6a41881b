"""Members of an archive: what reading one offers, and which names are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from tenfold.errors import SourceError


class Member(NamedTuple):
    """A regular file in an archive.

    Attributes:
        path: where it lies, slash-separated, checked by :func:`checked_path`.
        size: the size that the archive declares, in bytes.
        read: gives the content; only valid until the next member is asked for.
    """

    path: str
    size: int
    read: Callable[[], bytes]


_DRIVE = re.compile(r"[A-Za-z]:")


def checked_path(archive: str, name: str) -> str:
    """A member's name as a relative, slash-separated path without ``.`` and empty parts.

    We never write to such a path, but it names pictures and classes in what we do write, and an
    archive that tries to leave its folder is not one to learn from.

    Raises:
        SourceError: the name is absolute, climbs with ``..``, has a drive letter, or cannot be
            text.
    """
    if "\\" in name:
        name = name.replace("\\", "/")
    parts = name.split("/")
    if ".." in parts or not parts[0] or "\0" in name or _DRIVE.match(name):
        raise refused(archive, name, "is a path that leaves the archive")
    if not name.isascii():
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise refused(archive, name, "has a name that is not UTF-8") from None
    if "." in parts or "" in parts:
        return "/".join(part for part in parts if part not in ("", "."))
    return name


def refused(archive: str, name: str, reason: str) -> SourceError:
    """The error for a member that is not read on principle."""
    return SourceError(
        f"{archive}: member {name!r} {reason}, which is refused; repack the archive without it"
    )
