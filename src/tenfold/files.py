"""Writing files so that they are whole or absent, and reading those that others have written."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

from tenfold.errors import OutputError

# Only writing raises these, so they are about our output wherever they come from.
_WRITE_FAILURES = {
    errno.ENOSPC: "the disk is full; free some space, or choose another place",
    errno.EDQUOT: "your disk quota is used up; free some space, or choose another place",
    errno.EROFS: "the disk is read-only; choose another place",
    errno.EFBIG: "the file grew beyond what this disk or account allows; choose another place",
}

# Reading raises these too, so they are about our output only where they name it.
_PATH_FAILURES = {
    errno.EACCES: "permission denied; choose a place that you may write to",
    errno.EPERM: "permission denied; choose a place that you may write to",
    errno.ENOTDIR: "a file lies where a folder is needed; move it away, or choose another place",
    errno.EEXIST: "a file lies where a folder is needed; move it away, or choose another place",
    errno.EISDIR: "a folder lies where a file is needed; move it away, or choose another place",
    errno.ENOENT: "its folder is gone, or can hold no files; choose another place",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


# The names that `atomic_path` gives to what is not whole yet.
_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}(\.[^.]+)?")


@contextmanager
def translate_output_errors(path: Path) -> Iterator[None]:
    """Raise failures to write ``path`` as an OutputError that names it and the mend.

    Failures to read something else, and any other exception, pass through unchanged.

    Raises:
        OutputError: the disk is full or read-only, access is denied, or a file is in the way.
    """
    try:
        yield
    except OSError as error:
        reason = _WRITE_FAILURES.get(error.errno or 0)
        if reason is None and _is_about(error, path):
            reason = _PATH_FAILURES.get(error.errno or 0)
        if reason is None:
            raise
        raise OutputError(f"cannot write {path}: {reason}") from error


def open_file(path: Path) -> BufferedReader:
    """Open for reading a file that anybody may have put there.

    Only a regular file is opened: a pipe would wait for a writer, and a device never ends.

    Args:
        path: the file; a link to one will do.

    Raises:
        OSError: it cannot be opened, or is no regular file; ``strerror`` says which.
    """
    # Without O_NONBLOCK, opening a pipe would itself wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    file = open(descriptor, "rb")  # noqa: PTH123, SIM115 - a descriptor, for the caller to close
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return file


def read_file(path: Path, most: int) -> bytes:
    """The content of a file that anybody may have put there; see `open_file`.

    Args:
        path: the file.
        most: the largest size that is accepted, bytes.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger; ``strerror`` says which.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        # Not so many as may be: Python takes memory for them before it reads.
        content = file.read(size + 1) if size <= most else b""
    if max(size, len(content)) > most:
        raise OSError(errno.EINVAL, f"it is larger than {_in_words(most)}", str(path))
    return content


def _in_words(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` to write to; it becomes ``path`` at the end.

    The folder is created where it is missing. The temporary name keeps the suffix, because many
    writers choose the format by it. If the body raises, the temporary file is removed and
    whatever ``path`` held before stays as it was.

    Raises:
        OutputError: see `translate_output_errors`.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: {_PATH_FAILURES[errno.EISDIR]}")
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    with translate_output_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _sync_file(temporary)
            temporary.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed left in a folder; nobody may be writing to it.

    Raises:
        OutputError: see `translate_output_errors`.
    """
    with translate_output_errors(folder):
        for path in list(folder.iterdir()) if folder.is_dir() else []:
            if _TEMPORARY.fullmatch(path.name) and path.is_file():
                path.unlink()


def atomic_write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or none; see `atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def atomic_write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file or none; see `atomic_path`."""
    atomic_write_bytes(path, text.encode())


def atomic_write_json(path: Path, value: Any) -> None:
    """Write a whole, indented JSON file or none; see `atomic_path` and `to_json`."""
    atomic_write_text(path, to_json(value, indent=2) + "\n")


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON that every reader accepts: NaN and infinities, which JSON lacks, become null.

    Bytes of a path that are not UTF-8, which Python keeps as lone surrogates, are written as
    escapes, and read back as what they were.
    """
    text = json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode(errors="backslashreplace").decode()


def append_line(path: Path, text: str) -> None:
    """Append one line of text in one write, visible to readers at once.

    What an interrupted writer left of a last line is dropped first, so that a torn line never
    ends up in the middle of the file.

    A link is not followed: a folder from elsewhere could have it lead to any file of the user's.

    Raises:
        OutputError: see `translate_output_errors`; or the path is a link.
        ValueError: ``text`` holds a newline.
    """
    if "\n" in text:
        raise ValueError(f"one line a call. Received: {text!r}")
    with (
        translate_output_errors(path),
        open(path, "ab+", buffering=0, opener=_open_no_link) as file,
    ):
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.readall().rfind(b"\n") + 1)
        line = text.encode() + b"\n"
        while line:  # a nearly full disk may take a part; the next write then says that it is full
            line = line[file.write(line) :]


def _open_no_link(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):  # what O_NOFOLLOW says of a link
            raise OutputError(
                f"cannot write {path}: it is a link, which is not followed; remove it"
            ) from None
        raise


def _is_about(error: OSError, path: Path) -> bool:
    """Whether the error names ``path``, a temporary sibling of it, or a folder above it."""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None]
    return any(
        named == path or named in path.parents or _is_temporary(named, path)
        for named in map(Path, names)
    )


def _is_temporary(named: Path, path: Path) -> bool:
    return named.parent == path.parent and named.name.startswith(f".{path.stem}.")


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:  # Windows flushes only what is open for writing
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut; Windows offers no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems refuse to sync a folder; the file itself is already safe.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
