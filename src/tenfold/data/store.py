"""The store: a source's pictures, decoded once, in a folder that is whole or absent.

A store lies in the cache under a key made from everything that its pixels depend on. It is
prepared in a folder beside, made durable, and renamed: what bears the final name is complete, and
is never written to again. docs/store.md describes the files.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenfold import machine
from tenfold.data import decode
from tenfold.data.cache import cache_folder
from tenfold.data.prepare import FORMAT_VERSION, Progress, checksum, prepare
from tenfold.data.sources.base import Source
from tenfold.errors import OutputError
from tenfold.files import translate_output_errors


@dataclass(frozen=True, eq=False)
class Store:
    """Decoded pictures on disk, with their classes and splits.

    Attributes:
        path: the store's folder.
        images: uint8 (N, size, size, 3), memory-mapped and read-only. Pages that are touched stay
            resident, so read many pictures through `tenfold.data.rows.RowReader`.
        labels: int32 (N,), positions in ``class_names``.
        splits: int8 (N,): 0 train, 1 validation, 2 test, -1 where the source does not say.
        class_names: the classes in label order.
        fingerprint: the source's, see `Source.fingerprint`.
        size: side of the pictures in pixels.
        skipped: name and reason of each picture that could not be decoded and is not in here.
    """

    path: Path
    images: np.memmap[tuple[int, int, int, int], np.dtype[np.uint8]]
    labels: NDArray[np.int32]
    splits: NDArray[np.int8]
    class_names: tuple[str, ...]
    fingerprint: str
    size: int
    skipped: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.labels)


def open_store(
    source: Source,
    *,
    size: int,
    cache: Path | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Store:
    """Open a source's store, preparing it first if there is none.

    Opening again reads of the source no more than its fingerprint. Of several processes that want
    the same store, one prepares it and the others wait for that one.

    Args:
        source: where the pictures come from.
        size: side in pixels of the square that every picture is fitted to, see
            `tenfold.data.decode`.
        cache: folder that holds Tenfold's caches; None: see `cache_folder`.
        progress: called now and then during a preparation with the number of pictures done and
            the number expected, or None where that is not known.
        workers: processes that decode; None: one for each core.

    Raises:
        SourceError: the source cannot be read, has no pictures or only one class, or more than
            1% of its pictures are damaged.
        OutputError: the cache cannot be written.
    """
    fingerprint = source.fingerprint()
    path = cache_folder(cache) / "stores" / _key(fingerprint, size)
    store = _read(path)
    if store is None:
        workers = machine.describe().cores if workers is None else workers
        with _writing(path), _locked(path.with_suffix(".lock")):
            store = _read(path)  # another process may have prepared it while we waited
            if store is None:
                _sweep(path.parent)
                partial = path.with_suffix(".partial")
                _remove(partial)
                try:
                    partial.mkdir()
                    prepare(source, fingerprint, size, partial, progress, workers)
                    _remove(path)  # damaged, or it would have been read
                    # Everything inside is durable; a rename that a power cut undoes only costs
                    # another preparation.
                    partial.rename(path)
                except BaseException:
                    _remove(partial)
                    raise
                store = _read(path)
                assert store is not None, path  # noqa: S101 - it was written whole
    return store


def _key(fingerprint: str, size: int) -> str:
    parts = [fingerprint, size, FORMAT_VERSION, decode.RULE_VERSION]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _read(path: Path) -> Store | None:
    """Open a store; None where there is none, or its files are not what was written."""
    try:
        facts = json.loads((path / "store.json").read_bytes())
        labels = np.load(path / "labels.npy", allow_pickle=False)
        splits = np.load(path / "splits.npy", allow_pickle=False)
        shape = (len(labels), facts["size"], facts["size"], 3)
        images_size = (path / "images.raw").stat().st_size
        if (images_size, checksum(labels, splits)) != (facts["images_bytes"], facts["checksum"]):
            return None
        return Store(
            path=path,
            images=np.memmap(path / "images.raw", np.uint8, mode="r", shape=shape),
            labels=labels,
            splits=splits,
            class_names=tuple(facts["class_names"]),
            fingerprint=facts["fingerprint"],
            size=facts["size"],
            skipped=tuple((name, reason) for name, reason in facts["skipped"]),
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, EOFError, KeyError, TypeError):
        return None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say how to choose another cache where this one cannot be written."""
    try:
        with translate_output_errors(path):
            yield
    except OutputError as error:
        raise OutputError(f"{error} (the environment variable TENFOLD_CACHE names it)") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, which the system releases if this process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sweep(folder: Path) -> None:
    """Remove what killed preparations left: partial folders whose lock nobody holds."""
    for partial in folder.glob("*.partial"):
        with partial.with_suffix(".lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _remove(partial)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
