"""A class-per-folder tree inside a zip or tar."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tenfold.data.sources import _fingerprint
from tenfold.data.sources._layout import Layout, is_picture
from tenfold.data.sources._limits import check_picture
from tenfold.data.sources._members import Member
from tenfold.data.sources._tar import tar_members
from tenfold.data.sources._zip import zip_members
from tenfold.data.sources.base import Picture, Source


def members(path: Path) -> Iterator[Member]:
    """The regular files of a zip or tar, in its order, read without unpacking to disk.

    Raises:
        SourceError: the archive cannot be read, is damaged or hostile.
    """
    return zip_members(path) if path.suffix.lower() == ".zip" else tar_members(path)


class ArchiveSource(Source):
    """Pictures of a class-per-folder tree in an archive, in the archive's order."""

    kind = "archive"

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def fingerprint(self) -> str:
        """SHA-256 of the archive file."""
        return _fingerprint.of_file(self.kind, self._path)

    def pictures(self) -> Iterator[Picture]:
        """Every picture, encoded, in one pass over the archive."""
        layout = Layout(self.name)
        for path, size, read in members(self._path):
            if is_picture(path):
                split, label = layout.place(path)
                check_picture(self.name, path, size)
                yield Picture(path, label, split, read())
        layout.finish()
