"""Downloads of the official CIFAR archives: resumed where they stopped, and checked."""

from __future__ import annotations

import fcntl
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tenfold.data.cache import cache_folder
from tenfold.errors import SourceError
from tenfold.files import translate_output_errors

Progress = Callable[[int, int | None], None]
"""Told the number of bytes there are and the number expected, None where the server says none."""

_OFFICIAL_SITE = "https://www.cs.toronto.edu/~kriz"
_BLOCK = 1 << 20
_MOST_BYTES = 1 << 30  # six times the larger archive
_ELSEWHERE = (
    "give another site or a folder that has the file in TENFOLD_MIRROR, or the path of an archive "
    "that you have"
)
_TIMEOUT = 30.0  # seconds without a byte


@dataclass(frozen=True)
class OfficialArchive:
    """An archive as its authors publish it."""

    file: str
    md5: str


ARCHIVES = {
    "cifar10": OfficialArchive("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
    "cifar100": OfficialArchive("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
}


def fetch(
    dataset: Literal["cifar10", "cifar100"],
    *,
    mirror: str | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """The official archive of a dataset, from the cache, a mirror or the official site.

    A download that breaks off is taken up where it stopped: at once as long as each try brings
    something, or by the next call. Only a file with the official checksum is ever returned.

    Args:
        dataset: which one.
        mirror: an http(s) or file address, or a folder, that holds the archive under its official
            name; None: the environment variable TENFOLD_MIRROR, else the official site. A file
            in a local mirror is used where it lies.
        cache: folder that holds Tenfold's caches; None: TENFOLD_CACHE, or the system's.
        progress: called with bytes done and bytes expected.

    Raises:
        SourceError: the archive cannot be reached, or its checksum is wrong.
        OutputError: the cache cannot be written to.
    """
    archive = ARCHIVES[dataset]
    place = (mirror or os.environ.get("TENFOLD_MIRROR") or _OFFICIAL_SITE).rstrip("/")
    if not place.startswith(("http://", "https://")):
        return _from_folder(archive, place)
    try:
        urllib.parse.urlsplit(place)
    except ValueError as error:
        raise SourceError(f"mirror {place} is not an address ({error}); correct it") from None
    return _from_web(archive, place, cache_folder(cache) / "downloads", progress)


def _from_folder(archive: OfficialArchive, place: str) -> Path:
    import pooch

    if place.startswith("file:"):
        place = urllib.request.url2pathname(place.removeprefix("file:").removeprefix("//"))
    elif "://" in place:
        raise SourceError(f"mirror {place} is neither an http(s) address nor a folder; give one")
    path = Path(place).expanduser() / archive.file
    try:
        checksum = pooch.file_hash(path, alg="md5")
    except OSError as error:
        raise SourceError(
            f"mirror {place}: {archive.file}: {error.strerror}; name a folder that has this file"
        ) from None
    if checksum != archive.md5:
        raise SourceError(_wrong_checksum(str(path)))
    return path


def _from_web(
    archive: OfficialArchive, place: str, folder: Path, progress: Progress | None
) -> Path:
    import pooch

    pooch.get_logger().setLevel("ERROR")  # it logs addresses and hashes; our lines say enough
    url = f"{place}/{archive.file}"
    path = folder / archive.file
    partial = folder / f"{archive.file}.part"

    def download(url: str, temporary: str, _: object) -> None:
        _complete(partial, url, progress)
        partial.replace(temporary)

    with translate_output_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{archive.file}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two processes must not write one partial file
            try:
                # pooch returns what is there and right, and checks what is new before it names it.
                pooch.retrieve(
                    url, f"md5:{archive.md5}", fname=path.name, path=folder, downloader=download
                )
            except ValueError:  # the checksum; the partial file went with it
                raise SourceError(_wrong_checksum(url)) from None
    return path


def _complete(partial: Path, url: str, progress: Progress | None) -> None:
    """Append to ``partial`` until it holds all that ``url`` has to give."""
    partial.touch()
    while True:
        size = partial.stat().st_size
        try:
            for start, block, total in _blocks(url, size):
                if start + len(block) > _MOST_BYTES:
                    partial.unlink()
                    raise SourceError(f"{url} gives more than any archive has; {_ELSEWHERE}")
                with partial.open("r+b" if start else "wb") as file:
                    file.seek(start)
                    file.write(block)
                    file.truncate()
                if progress is not None:
                    progress(start + len(block), total)
        except _BrokenOffError as error:
            if partial.stat().st_size > size:
                continue
            raise SourceError(f"cannot download {url} ({error}); {_ELSEWHERE}") from None
        return


class _BrokenOffError(Exception):
    """The network failed; what came so far is good."""


def _blocks(url: str, size: int) -> Iterator[tuple[int, bytes, int | None]]:
    """Blocks of what lies behind an address, from byte ``size`` on or, if it cannot, from 0.

    Yields:
        Where a block starts, the block, and the size of the whole if it is known.

    Raises:
        _BrokenOffError: the server cannot be reached, refuses, or stops before the end.
    """
    # The address is http(s), checked by fetch.
    request = urllib.request.Request(url, headers={"Range": f"bytes={size}-"} if size else {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            resumed = re.match(rf"bytes {size}-", response.headers.get("Content-Range", ""))
            start = size if response.status == http.HTTPStatus.PARTIAL_CONTENT and resumed else 0
            length = response.headers.get("Content-Length")
            total = start + int(length) if length is not None else None
            while block := response.read(_BLOCK):
                yield start, block, total
                start += len(block)
            if total is not None and start < total:
                raise _BrokenOffError(f"it ended after {start:,} of {total:,} bytes")
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not size:
            raise _BrokenOffError(f"the server answers {error.code} {error.reason}") from None
        # There is nothing from that byte on: we have it all, or something else altogether.
        if error.headers.get("Content-Range") != f"bytes */{size}":
            yield from _blocks(url, 0)
    except urllib.error.URLError as error:
        raise _BrokenOffError(str(error.reason)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _BrokenOffError(str(error) or type(error).__name__) from None


def _wrong_checksum(place: str) -> str:
    return (
        f"{place} does not have the official checksum: it is damaged or another file; "
        "get it again, or give another site or folder in TENFOLD_MIRROR"
    )
