"""Where a picture's path puts it: the one rule for folders, zips and tars.

A path is read as ``[wrapper/] [split/] class/ [deeper/] picture``: a split folder at the top (or
under one wrapping folder) decides for splits, and its subfolders are classes; without split
folders, the folders at the top (or under one wrapping folder) are the classes. Each path is
classified by itself and all of them must agree, so the outcome does not depend on their order and
one streaming pass is enough.
"""

from __future__ import annotations

from typing import NamedTuple

from tenfold.data.sources.base import SplitName
from tenfold.errors import SourceError

SPLITS: dict[str, SplitName] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""What a source may call a split, in any case, and the split that is meant."""

_FOLDERS = 10_000
"""How many folders are remembered; of others the place is read again."""

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})

TAR_SUFFIXES = (
    ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst",
)  # fmt: skip
ARCHIVE_SUFFIXES = (".zip", *TAR_SUFFIXES)


class Place(NamedTuple):
    """The split and the class of a picture."""

    split: SplitName | None
    label: str


def is_picture(path: str) -> bool:
    """Whether a slash-separated path names a picture: by suffix, and hidden nowhere on the way."""
    if path[path.rfind(".") :].lower() not in PICTURE_SUFFIXES:
        return False  # among them Thumbs.db
    return not (path.startswith(".") or "/." in path or "__MACOSX" in path.split("/"))


class SplitCheck:
    """Refuses classes that a validation or test split knows and the training split does not."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._classes: dict[SplitName, set[str]] = {}

    def add(self, place: Place) -> None:
        """Take note of one picture's place."""
        if place.split is not None:
            self._classes.setdefault(place.split, set()).add(place.label)

    def finish(self) -> None:
        """All pictures were seen.

        Raises:
            SourceError: a split holds a class that the training split lacks.
        """
        known = self._classes.get("train", set())
        for split, classes in self._classes.items():
            if not known:
                raise SourceError(
                    f"{self._source} has a {split} split but no training split; "
                    f"add train/, or point at the folder of the {split} split itself"
                )
            if unknown := sorted(classes - known):
                raise SourceError(
                    f"{self._source}: the {split} split holds class {unknown[0]!r}, which the "
                    "training split does not; add training pictures of it, or remove it"
                )


class Layout:
    """Reads split and class off paths, and holds all paths of one source to one layout."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._places: dict[str, Place] = {}  # by folder, those last seen
        self._first: Place | None = None
        self._wrapper: str | None = None
        self._check = SplitCheck(source)

    def place(self, path: str) -> Place:
        """The place of a picture, from its slash-separated path inside the source.

        Raises:
            SourceError: the path has no class, or it follows another layout than those before.
        """
        folder = path.rpartition("/")[0]
        place = self._places.get(folder)
        if place is None:
            if len(self._places) == _FOLDERS:
                self._places.clear()
            place = self._places[folder] = self._read(folder, path)
        return place

    def finish(self) -> None:
        """All pictures were placed.

        Raises:
            SourceError: there was none, or a split holds a class that the training split lacks.
        """
        if self._first is None:
            raise SourceError(no_pictures(self._source))
        self._check.finish()

    def _read(self, folder: str, path: str) -> Place:
        wrapper, place = self._classify(folder.split("/") if folder else [], path)
        if self._first is None:
            self._first = place
        else:
            if (self._first.split is None) != (place.split is None):
                raise SourceError(
                    f"{self._source}: some pictures lie under train/, validation/ or test/, but "
                    "others do not; put every class folder under one of the three, or none"
                )
            if wrapper != self._wrapper:
                raise SourceError(
                    f"{self._source}: picture {path!r} does not lie as deep as the others; put "
                    "class folders side by side, and pictures directly in them"
                )
        self._wrapper = wrapper
        self._check.add(place)
        return place

    def _classify(self, folders: list[str], path: str) -> tuple[str | None, Place]:
        """The wrapping folder, if any, and the place."""
        for depth in (0, 1):
            split = SPLITS.get(folders[depth].lower()) if len(folders) > depth else None
            if split is not None:
                if len(folders) == depth + 1:
                    raise SourceError(
                        f"{self._source}: picture {path!r} lies in no class folder; "
                        f"move it into one, as in {'/'.join(folders)}/CLASS/"
                    )
                return (folders[0] if depth else None), Place(split, folders[depth + 1])
        match folders:
            case [label]:
                return None, Place(None, label)
            case [wrapper, label]:
                return wrapper, Place(None, label)
            case []:
                raise SourceError(
                    f"{self._source}: picture {path!r} lies in no class folder; move it into the "
                    "folder of its class, or remove it"
                )
            case _:
                raise SourceError(
                    f"{self._source}: picture {path!r} lies too deep to tell its class; "
                    "put pictures directly into the folders of their classes"
                )


def no_pictures(source: str) -> str:
    """The message for a source without a single picture."""
    return (
        f"{source} holds no pictures; expected JPEG, PNG, WebP, BMP or GIF files in one folder "
        "for each class"
    )
