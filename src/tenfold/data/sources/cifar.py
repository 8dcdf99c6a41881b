"""CIFAR-10 and CIFAR-100 (fine labels): python and binary versions, as archive or folder."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenfold.data.sources import _cifar_pickle, _fingerprint
from tenfold.data.sources._cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from tenfold.data.sources._layout import is_picture
from tenfold.data.sources.archive import members
from tenfold.data.sources.base import Picture, Source, SplitName
from tenfold.errors import SourceError

SIDE = 32
_OFFICIAL_COUNT = 60_000
_PLANE = SIDE * SIDE
_ROW = 3 * _PLANE


@dataclass(frozen=True)
class Version:
    """One of the four official forms, known by the names of its files.

    Attributes:
        title: its name in messages.
        batches: its batch files, in the order in which they are read, and the split of each.
        meta: the file that lists the classes.
        meta_key: where in ``meta`` they are; None for a text file with a class a line.
        label_key: where a pickled batch has its labels; None for a binary batch.
        label_bytes: how many label bytes begin a binary record; the last one counts.
        class_names: the classes in label order.
        file_bytes: the most that a file may have, a quarter more than the largest official one.
    """

    title: str
    batches: dict[str, SplitName]
    meta: str
    meta_key: str | None
    label_key: str | None
    label_bytes: int
    class_names: tuple[str, ...]
    file_bytes: int


_NUMBERED = [f"data_batch_{number}" for number in range(1, 6)]
VERSIONS = (
    Version(
        "CIFAR-10 (python version)",
        {**dict.fromkeys(_NUMBERED, "train"), "test_batch": "test"},
        "batches.meta", "label_names", "labels", 0, CIFAR10_CLASSES, 40 << 20,
    ),
    Version(
        "CIFAR-10 (binary version)",
        {**dict.fromkeys([f"{name}.bin" for name in _NUMBERED], "train"), "test_batch.bin": "test"},
        "batches.meta.txt", None, None, 1, CIFAR10_CLASSES, 40 << 20,
    ),
    Version(
        "CIFAR-100 (python version)",
        {"train": "train", "test": "test"},
        "meta", "fine_label_names", "fine_labels", 0, CIFAR100_CLASSES, 192 << 20,
    ),
    Version(
        "CIFAR-100 (binary version)",
        {"train.bin": "train", "test.bin": "test"},
        "fine_label_names.txt", None, None, 2, CIFAR100_CLASSES, 192 << 20,
    ),
)  # fmt: skip


def recognize_archive(path: Path) -> Version | None:
    """The version that a zip or tar holds; None where a picture comes before any batch file.

    Raises:
        SourceError: the archive cannot be read, is damaged or hostile.
    """
    for member in members(path):
        if is_picture(member.path):
            return None
        folder, _, name = member.path.rpartition("/")
        for version in VERSIONS:
            if name in version.batches and "/" not in folder:
                return version
    return None


def recognize_folder(path: Path) -> tuple[Version, Path] | None:
    """The version whose files a folder, or the only folder in it, holds; and that folder."""
    try:
        inside = sorted(path.iterdir())
    except OSError:
        return None  # whoever reads it next says why
    folders = [path, *inside] if len(inside) == 1 and inside[0].is_dir() else [path]
    for folder in folders:
        for version in VERSIONS:
            if any((folder / name).is_file() for name in version.batches):
                return version, folder
    return None


class CifarSource(Source):
    """The pictures of an official CIFAR archive or its extracted folder.

    Batches come in their official order, whatever their order in the archive: early ones wait in
    memory, which costs at most CIFAR's own 184 MB and spares reading the archive six times.
    """

    kind = "cifar"

    def __init__(self, path: Path, version: Version) -> None:
        super().__init__(str(path))
        self._path = path
        self._version = version

    @property
    def class_names(self) -> tuple[str, ...]:
        """The official classes, in the official order."""
        return self._version.class_names

    @property
    def native_size(self) -> int:
        """CIFAR pictures are 32x32."""
        return SIDE

    @property
    def expected_count(self) -> int:
        """What each of the official versions holds."""
        return _OFFICIAL_COUNT

    def fingerprint(self) -> str:
        """SHA-256 of the archive, or of the batch files' names, sizes and times of change."""
        kind = f"{self.kind} {self._version.title}"
        if self._path.is_dir():
            files = [self._path / name for name in (*self._version.batches, self._version.meta)]
            stats = ((file.name, file.stat()) for file in files if file.is_file())
            return _fingerprint.of_records(
                kind, ((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
            )
        return _fingerprint.of_file(kind, self._path)

    def pictures(self) -> Iterator[Picture]:
        """Every picture as uint8 pixels of shape (32, 32, 3)."""
        order = list(self._version.batches)
        waiting: dict[str, _Batch] = {}
        for file, raw in self._files():
            if file == self._version.meta:
                self._check_meta(raw)
                continue
            waiting[file] = self._read_batch(file, raw)
            del raw  # or it would wait along with its batch
            while order and order[0] in waiting:
                yield from self._batch_pictures(order[0], waiting.pop(order.pop(0)))
        if order:
            raise SourceError(
                f"{self.name} lacks {order[0]}, which {self._version.title} has; "
                "copy or download it again"
            )

    def _files(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of every file that counts, each once, in any order."""
        wanted = {*self._version.batches, self._version.meta}
        if self._path.is_dir():
            for name in sorted(wanted):
                file = self._path / name
                if file.is_file():
                    self._check_size(name, file.stat().st_size)
                    yield name, file.read_bytes()
            return
        for path, size, read in members(self._path):
            name = posixpath.basename(path)
            if name in wanted and path.count("/") <= 1:
                wanted.remove(name)
                self._check_size(name, size)
                yield name, read()

    def _check_size(self, file: str, size: int) -> None:
        if size > self._version.file_bytes:
            raise SourceError(
                f"{self.name}: {file} takes {size:,} bytes, more than any file of "
                f"{self._version.title}; get the archive from its official site"
            )

    def _read_batch(self, file: str, raw: bytes) -> _Batch:
        name = f"{self.name}: {file}"
        if self._version.label_key is None:
            pixels, labels = _parse_binary(raw, self._version.label_bytes, name)
        else:
            pixels, labels = _parse_python(raw, self._version.label_key, name)
        if not len(pixels):
            raise SourceError(f"{name} holds no pictures; copy or download the archive again")
        classes = len(self.class_names)
        if labels.min() < 0 or labels.max() >= classes:
            raise SourceError(
                f"{name} has labels from {labels.min()} to {labels.max()}, but "
                f"{self._version.title} has {classes} classes; copy or download the archive again"
            )
        return _Batch(pixels, labels)

    def _batch_pictures(self, file: str, batch: _Batch) -> Iterator[Picture]:
        # A row is three planes, red, green and blue, not pixels of three values: reshaping it to
        # (32, 32, 3) outright would scramble the picture.
        planar = batch.pixels.reshape(-1, 3, SIDE, SIDE)
        split = self._version.batches[file]
        for index, (planes, label) in enumerate(zip(planar, batch.labels.tolist(), strict=True)):
            yield Picture(
                f"{file}/{index:05}",
                self.class_names[label],
                split,
                np.ascontiguousarray(planes.transpose(1, 2, 0)),
            )

    def _check_meta(self, raw: bytes) -> None:
        """Refuse an archive that orders its classes in another way than its labels are read."""
        name = f"{self.name}: {self._version.meta}"
        listed: object
        if self._version.meta_key is None:
            listed = raw.decode("ascii", "replace").split()
        else:
            listed = _cifar_pickle.load(raw, name).get(self._version.meta_key)
        names = [
            entry.decode("ascii", "replace") if isinstance(entry, bytes) else entry
            for entry in (listed if isinstance(listed, list) else [])
        ]
        if names != list(self.class_names):
            raise SourceError(
                f"{name} does not list the classes of {self._version.title}; "
                "get the archive from its official site"
            )


@dataclass(frozen=True)
class _Batch:
    pixels: NDArray[np.uint8]
    labels: NDArray[np.integer]


def _parse_python(
    raw: bytes, label_key: str, name: str
) -> tuple[NDArray[np.uint8], NDArray[np.integer]]:
    content = _cifar_pickle.load(raw, name)
    pixels, labels = content.get("data"), content.get(label_key)
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != _ROW:
        raise SourceError(f"{name} has no 'data' array of shape (N, {_ROW}); is it a CIFAR batch?")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise SourceError(f"{name} has no {label_key!r} list of numbers; is it a CIFAR batch?")
    if len(labels) != len(pixels):
        raise SourceError(
            f"{name} has {len(pixels)} pictures but {len(labels)} labels; "
            "copy or download the archive again"
        )
    # A pickle's numbers may be of any size; those of no class are for the caller to refuse.
    return pixels, np.array([max(-1, min(label, 2**31)) for label in labels], np.int64)


def _parse_binary(
    raw: bytes, label_bytes: int, name: str
) -> tuple[NDArray[np.uint8], NDArray[np.integer]]:
    record = label_bytes + _ROW
    if len(raw) % record:
        raise SourceError(
            f"{name} has {len(raw):,} bytes, which is no multiple of the {record} of a record; "
            "copy or download the archive again"
        )
    records = np.frombuffer(raw, np.uint8).reshape(-1, record)
    return records[:, label_bytes:], records[:, label_bytes - 1]
