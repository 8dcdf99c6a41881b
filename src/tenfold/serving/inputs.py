"""The pictures that a list of paths stands for: files, folders, globs, archives, standard input.

Each is found while those before it are answered, so that memory holds the names of one folder and
no more, however many pictures there are. What cannot be read is named with its reason, and never
keeps the rest from being answered.
"""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tenfold.data.sources._layout import ARCHIVE_SUFFIXES, is_picture
from tenfold.data.sources._limits import PICTURE_BYTES
from tenfold.errors import SourceError

STDIN = "-"
"""The path that means standard input."""

_NO_PICTURES = "holds no pictures: no file that is JPEG, PNG, WebP, BMP or GIF by its name"
_TOO_LARGE = f"takes more than {PICTURE_BYTES >> 20} MiB; scale it down"
_FIRST_READ = 16 << 10  # holds most small pictures whole
_READ = 1 << 20


class Found(NamedTuple):
    """A picture to be answered.

    Attributes:
        name: its path; for one in an archive, the archive's path and the path in it.
        content: the encoded file; None where the file of that name is still to be read.
    """

    name: str
    content: bytes | None


class Skipped(NamedTuple):
    """Something that was asked for and cannot be answered.

    Attributes:
        name: its path.
        reason: why, in words.
    """

    name: str
    reason: str


class ReadError(Exception):
    """A picture file cannot be read; the message says why, in words."""


def find(paths: Iterable[str]) -> Iterator[Found | Skipped]:
    """Every picture that the paths stand for, in their order, and whatever is in the way.

    A file is taken for a picture or, by its name, for an archive. A folder stands for the files in
    it and below that are pictures by their names; hidden ones, ``__MACOSX`` and archives are passed
    over, and links to folders are not followed, but named. A path that does not exist may be a
    pattern with ``*``, ``?``, ``[...]`` and ``**``. ``-`` is one picture on standard input.

    Args:
        paths: as a user gives them.

    Yields:
        Pictures; and the paths that lead to none, with the reason.
    """
    for path in paths:
        yield from _find_one(path)


def count(paths: Iterable[str]) -> int | None:
    """How many pictures `find` will come to; None where only reading would tell."""
    total = 0
    for path in paths:
        if path == STDIN:
            total += 1
        elif os.path.isdir(path):
            total += sum(1 for found in _walk(path) if isinstance(found, Found))
        elif _is_archive(path) or not os.path.lexists(path):
            return None
        else:
            total += 1
    return total


def without_duplicates(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split paths into those to answer, and those that earlier ones or their folders answer.

    Links are told apart from what they lead to, because their names differ in the answer.
    """
    kept: dict[str, str] = {}
    repeated = []
    for path in paths:
        place = path if path == STDIN else os.path.abspath(path)
        if place in kept:
            repeated.append(path)
        else:
            kept[place] = path
    folders = {place for place, path in kept.items() if path != STDIN and os.path.isdir(path)}
    for place, path in list(kept.items()):
        if any(_is_walked(place, folder) for folder in folders if folder != place):
            repeated.append(path)
            del kept[place]
    return list(kept.values()), repeated


def read_file(path: str) -> bytes:
    """The content of a picture file, or of a pipe.

    The system is asked directly, because Python's file objects take twice as long for a small file.

    Raises:
        ReadError: it cannot be read, or is larger than any picture should be.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ReadError(_in_words(error)) from None
    try:
        content = os.read(descriptor, _FIRST_READ)
        more = content and os.read(descriptor, _READ)
        if not more:
            return content
        parts, size = [content], len(content)
        while more:
            parts.append(more)
            size += len(more)
            if size > PICTURE_BYTES:
                raise ReadError(_TOO_LARGE)
            more = os.read(descriptor, _READ)
        return b"".join(parts)
    except OSError as error:
        raise ReadError(_in_words(error)) from None
    finally:
        os.close(descriptor)


def _find_one(path: str) -> Iterator[Found | Skipped]:
    if path == STDIN:
        yield _read_stdin()
        return
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        yield from _find_absent(path, error)
        return
    if stat.S_ISDIR(mode):
        found = False
        for one in _walk(path):
            found = True
            yield one
        if not found:
            yield Skipped(path, _NO_PICTURES)
    elif _is_archive(path):
        yield from _unpack(path)
    else:
        yield Found(path, None)


def _find_absent(path: str, error: OSError) -> Iterator[Found | Skipped]:
    """What a path stands for that cannot be looked at: a pattern, or nothing."""
    home = os.path.expanduser(path)  # a quoted path comes as it was written
    if home != path and (os.path.lexists(home) or glob.has_magic(home)):
        yield from _find_one(home)
    elif os.path.lexists(path):
        broken = isinstance(error, FileNotFoundError)
        yield Skipped(path, "is a link to nothing" if broken else _in_words(error))
    elif glob.has_magic(path) and not isinstance(error, PermissionError):
        # A folder's own come right after it.
        matches = sorted(glob.glob(path, recursive=True), key=lambda match: match.split("/"))
        if not matches:
            yield Skipped(path, "matches no file; check the pattern")
        for match in _outermost(matches):
            yield from _find_one(match)
    elif path.startswith(("http://", "https://")):
        yield Skipped(path, "is an address; download it first, or pipe it to the path -")
    elif isinstance(error, FileNotFoundError):
        yield Skipped(path, "there is no such file or folder; check the path")
    else:
        yield Skipped(path, _in_words(error))


def _outermost(matches: Iterable[str]) -> Iterator[str]:
    """Matches of a pattern without those below a folder that matched: its walk comes to them."""
    folder = None
    for match in matches:
        if folder is not None and match.startswith(folder):
            continue
        if os.path.isdir(match):
            folder = os.path.join(match, "")
        yield match


def _walk(top: str) -> Iterator[Found | Skipped]:
    """What a folder and those below it hold."""
    listings = [_list(os.path.join(top, ""))]  # a stack, because trees can be very deep
    while listings:
        entry = next(listings[-1], None)
        if entry is None:
            listings.pop()
        elif isinstance(entry, str):
            listings.append(_list(entry))
        else:
            yield entry


def _list(folder: str) -> Iterator[Found | Skipped | str]:
    """What one folder holds, by name: pictures, what is in the way of some, and folders' paths.

    Args:
        folder: its path, with a slash at the end.
    """
    names = []  # of folders with a slash
    reasons = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if entry.is_dir(follow_symlinks=False):
                    if name[0] != "." and name != "__MACOSX":
                        names.append(name + "/")
                elif entry.is_file(follow_symlinks=False):
                    if is_picture(name):
                        names.append(name)
                elif name[0] != "." and (reason := _in_the_way(entry)) is not None:
                    names.append(name)
                    if reason:
                        reasons[name] = reason
    except OSError as error:
        yield Skipped(folder, _in_words(error))
        return
    names.sort()
    for name in names:
        if name in reasons:
            yield Skipped(folder + name, reasons[name])
        elif name[-1] == "/":
            yield folder + name
        else:
            yield Found(folder + name, None)


def _in_the_way(entry: os.DirEntry[str]) -> str | None:
    """Why a link or a device is no picture; empty where it is one, None where none is expected."""
    if entry.is_dir():
        return "is a link to a folder, which is not followed; name that folder itself"
    if not is_picture(entry.name):
        return None
    if entry.is_file():
        return ""
    return "is a link to nothing" if entry.is_symlink() else "is not a file"


def _unpack(path: str) -> Iterator[Found | Skipped]:
    """Pictures in an archive, up to the end or to where it is damaged."""
    from tenfold.data.sources.archive import members

    found = False
    try:
        for member, size, read in members(Path(path)):
            if is_picture(member):
                found = True
                name = f"{path}/{member}"
                if size > PICTURE_BYTES:
                    yield Skipped(name, _TOO_LARGE)
                else:
                    yield Found(name, read())
    except SourceError as error:
        yield Skipped(path, str(error).removeprefix(path).lstrip(": "))
    else:
        if not found:
            yield Skipped(path, _NO_PICTURES)


def _read_stdin() -> Found | Skipped:
    if sys.stdin.isatty():
        return Skipped(STDIN, "standard input is a terminal; pipe a picture into it")
    try:
        content = sys.stdin.buffer.read(PICTURE_BYTES + 1)
    except OSError as error:
        return Skipped(STDIN, _in_words(error))
    if len(content) > PICTURE_BYTES:
        return Skipped(STDIN, _TOO_LARGE)
    return Found(STDIN, content)


def _is_archive(path: str) -> bool:
    return path.lower().endswith(ARCHIVE_SUFFIXES)


def _is_walked(place: str, folder: str) -> bool:
    """Whether the walk of a folder comes to a place, both absolute."""
    inside = os.path.join(folder, "")
    if not place.startswith(inside):
        return False
    relative = place.removeprefix(inside)
    above = os.path.dirname(relative)
    if os.path.realpath(inside + above) != os.path.normpath(os.path.realpath(folder) + "/" + above):
        return False  # there is a link on the way
    if os.path.isdir(place):
        return not os.path.islink(place) and is_picture(f"{relative}/any.png")
    return is_picture(relative) and os.path.lexists(place)


def _in_words(error: OSError) -> str:
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]
