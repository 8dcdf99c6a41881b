"""A class-per-folder tree on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tenfold.data.sources import _fingerprint
from tenfold.data.sources._layout import Layout, is_picture, no_pictures
from tenfold.data.sources._limits import PICTURE_BYTES, check_picture
from tenfold.data.sources.base import Picture, Source
from tenfold.errors import SourceError
from tenfold.files import read_file

_DEPTH = 100  # folders in folders


class FolderSource(Source):
    """Pictures of a class-per-folder tree, sorted by name, folder by folder.

    Raises:
        SourceError: when made, the folder holds no picture.
    """

    kind = "folder"

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._root = path
        self._count: int | None = None
        if next(self._walk(), None) is None:
            raise SourceError(no_pictures(self.name))

    @property
    def expected_count(self) -> int:
        """Counted by listing the tree, once."""
        if self._count is None:
            self._count = sum(1 for _ in self._walk())
        return self._count

    def fingerprint(self) -> str:
        """SHA-256 of every picture's path inside the folder, size and time of change."""
        stats = ((name, self._stat(name)) for name in self._walk())
        return _fingerprint.of_records(
            self.kind, ((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
        )

    def pictures(self) -> Iterator[Picture]:
        """Every picture, encoded."""
        layout = Layout(self.name)
        for name in self._walk():
            split, label = layout.place(name)
            yield Picture(name, label, split, read_picture(self._root / name, self.name, name))
        layout.finish()

    def _stat(self, name: str) -> os.stat_result:
        try:
            return (self._root / name).stat()
        except OSError as error:
            raise SourceError(f"{self.name}: {name!r}: {error.strerror}") from None

    def _walk(self, folder: str = "") -> Iterator[str]:
        """Slash-separated paths of all pictures; memory for one folder's names at a time."""
        try:
            entries = sorted(os.scandir(self._root / folder), key=lambda entry: entry.name)
        except OSError as error:
            raise SourceError(f"folder {self._root / folder}: {error.strerror}") from None
        if folder.count("/") == _DEPTH:
            raise SourceError(
                f"{self.name}: {folder[:200]!r}... lies more than {_DEPTH} folders deep; "
                "put pictures directly into the folders of their classes"
            )
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if not (entry.name.startswith(".") or entry.name == "__MACOSX"):
                    yield from self._walk(path)
            elif entry.is_symlink():
                if self._leads_to_picture(entry, path):
                    yield path
            elif is_picture(path) and entry.is_file():
                try:
                    path.encode("utf-8")
                except UnicodeEncodeError:
                    raise SourceError(
                        f"{self.name}: the name of {path!r} is not UTF-8; rename it"
                    ) from None
                yield path

    def _leads_to_picture(self, entry: os.DirEntry[str], path: str) -> bool:
        """Whether a link is to be read: a picture's name, for a file inside this tree.

        Links to folders could lead in circles; a link out of the tree would make what is read
        depend on more than the tree. Neither is followed, and neither goes unsaid.
        """
        if entry.is_dir():
            reason = "is a link to a folder"
        elif not is_picture(path):
            return False
        elif not entry.is_file():
            reason = "is a link to nothing"
        elif not Path(entry.path).resolve().is_relative_to(self._root.resolve()):
            reason = "is a link that leaves the folder"
        else:
            return True
        raise SourceError(
            f"{self.name}: {path!r} {reason}, which is not followed; replace it by what it "
            "stands for, or list the pictures in a table"
        )


def read_picture(path: Path, source: str, name: str) -> bytes:
    """A picture file's content.

    Args:
        path: the file.
        source: the source that it belongs to, for messages.
        name: its name there, for messages.

    Raises:
        SourceError: it cannot be read, or is larger than any picture should be.
    """
    try:
        check_picture(source, name, path.stat().st_size)
        return read_file(path, PICTURE_BYTES)
    except OSError as error:
        raise SourceError(f"{source}: picture {name!r}: {error.strerror}") from None
