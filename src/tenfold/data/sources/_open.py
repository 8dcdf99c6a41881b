"""Opening a source by its name or path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from tenfold.data.download import fetch
from tenfold.data.sources import cifar
from tenfold.data.sources._layout import ARCHIVE_SUFFIXES, PICTURE_SUFFIXES
from tenfold.data.sources.archive import ArchiveSource
from tenfold.data.sources.base import Source
from tenfold.data.sources.cifar import CifarSource
from tenfold.data.sources.digits import DigitsSource
from tenfold.data.sources.folder import FolderSource
from tenfold.data.sources.npz import NpzSource
from tenfold.data.sources.table import TABLE_SUFFIXES, TableSource
from tenfold.errors import SourceError
from tenfold.suggestions import did_you_mean, did_you_mean_path

if TYPE_CHECKING:
    from tenfold.data.download import Progress

SourceName = Literal["digits", "cifar10", "cifar100"]
"""The sources that have a name; all others have a path."""

_KINDS = "a folder, a .zip or .tar.* archive, a .csv or .parquet table, or an .npz file"


def open_source(
    spec: str | Path, *, mirror: str | None = None, progress: Progress | None = None
) -> Source:
    """Open a source by name or path.

    Args:
        spec: ``digits``, ``cifar10`` or ``cifar100``; or the path of a CIFAR archive or its
            extracted folder, a class-per-folder tree, a zip or tar of one, a table, an ``.npz``.
            A name wins over a path: write ``./digits`` for a folder of that name.
        mirror: where to download from instead of the official site; see
            :func:`tenfold.data.download.fetch`.
        progress: told how far a download is.

    Raises:
        SourceError: there is no such source, or it is damaged, hostile or empty.
        OutputError: a download cannot be written to disk.
    """
    match spec:
        case "digits":
            return DigitsSource()
        case "cifar10" | "cifar100":
            archive = fetch(spec, mirror=mirror, progress=progress)
            version = cifar.recognize_archive(archive)
            if version is None:
                raise SourceError(f"{archive} is not a CIFAR archive; remove it and try again")
            return CifarSource(archive, version)
    path = Path(spec).expanduser()
    if path.is_dir():
        if (found := cifar.recognize_folder(path)) is not None:
            return CifarSource(found[1], found[0])
        return FolderSource(path)
    if not path.is_file():
        names = get_args(SourceName)
        hint = did_you_mean(str(spec).lower(), names) or did_you_mean_path(path)
        raise SourceError(
            f"no source at {path}{hint}; give {_KINDS}, or one of the names {', '.join(names)}"
        )
    return _open_file(path)


def _open_file(path: Path) -> Source:
    name = path.name.lower()
    if name.endswith(ARCHIVE_SUFFIXES):
        version = cifar.recognize_archive(path)
        return ArchiveSource(path) if version is None else CifarSource(path, version)
    if name.endswith(TABLE_SUFFIXES):
        return TableSource(path)
    if name.endswith(".npz"):
        return NpzSource(path)
    if name.endswith(tuple(PICTURE_SUFFIXES)):
        raise SourceError(
            f"{path} is a single picture; a source is {_KINDS} with pictures of several classes"
        )
    raise SourceError(f"{path} is of no type that can be read; give {_KINDS}")
