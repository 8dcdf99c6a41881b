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
from tenfold.data import decode, origins
from tenfold.data.cache import cache_folder
from tenfold.data.origins import Origins
from tenfold.data.prepare import (
    FORMAT_VERSION,
    SKIPPED_SHARE,
    Progress,
    checksum,
    prepare,
    too_many_skipped,
)
from tenfold.data.sources.base import Source
from tenfold.errors import OutputError, SourceError
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
        origins: name, own size, format and digest of each picture, read as they are asked for.
        skipped: name and reason of each picture that could not be decoded and is not in here.
    """

    path: Path
    images: np.memmap[tuple[int, int, int, int], np.dtype[np.uint8]]
    labels: NDArray[np.int32]
    splits: NDArray[np.int8]
    class_names: tuple[str, ...]
    fingerprint: str
    size: int
    origins: Origins
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
    most_skipped: float = SKIPPED_SHARE,
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
        most_skipped: the largest share of the pictures that may be damaged. The store is prepared
            all the same, so that it need not be again to look at what is wrong.

    Raises:
        SourceError: the source cannot be read, has no pictures or only one class, or more than
            that share of its pictures are damaged.
        OutputError: the cache cannot be written.
    """
    fingerprint = source.fingerprint()
    path = cache_folder(cache) / "stores" / _key(fingerprint, size)
    store = _read(path)
    if store is None:
        workers = machine.describe().cores if workers is None else workers
        with writing(path), locked(path.with_suffix(".lock")):
            store = _read(path)  # another process may have prepared it while we waited
            if store is None:
                sweep(path.parent)
                partial = path.with_suffix(".partial")
                remove(partial)
                try:
                    partial.mkdir()
                    prepare(source, fingerprint, size, partial, progress, workers)
                    if source.fingerprint() != fingerprint:
                        raise SourceError(
                            f"{source.name} changed while it was read; run the command again once "
                            "nothing writes to it"
                        )
                    remove(path)  # damaged, or it would have been read
                    # Everything inside is durable; a rename that a power cut undoes only costs
                    # another preparation.
                    partial.rename(path)
                except BaseException:
                    remove(partial)
                    raise
                store = _read(path)
                if store is None:  # it was written whole
                    raise OutputError(
                        f"cannot write {path}: parts of it vanished while it was written; "
                        "run the command again"
                    )
    count = len(store) + len(store.skipped)
    if len(store.skipped) > most_skipped * count:
        raise too_many_skipped(source.name, store.skipped, count)
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
        found = {
            "images_bytes": (path / "images.raw").stat().st_size,
            "names_bytes": (path / origins.NAMES).stat().st_size,
            "checksum": checksum(labels, splits),
        }
        if any(facts[key] != value for key, value in found.items()):
            return None
        if (path / origins.ROWS).stat().st_size != len(labels) * origins.ROW.itemsize:
            return None
        return Store(
            path=path,
            images=np.memmap(path / "images.raw", np.uint8, mode="r", shape=shape),
            labels=labels,
            splits=splits,
            class_names=tuple(facts["class_names"]),
            fingerprint=facts["fingerprint"],
            size=facts["size"],
            origins=Origins(path, len(labels)),
            skipped=tuple((name, reason) for name, reason in facts["skipped"]),
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, EOFError, KeyError, TypeError):
        return None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say how to choose another cache where this one cannot be written."""
    try:
        with translate_output_errors(path):
            yield
    except OutputError as error:
        raise OutputError(f"{error} (the environment variable TENFOLD_CACHE names it)") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, which the system releases if this process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sweep(folder: Path) -> None:
    """Remove what killed processes left: partial folders whose lock nobody holds."""
    for partial in folder.glob("*.partial"):
        with partial.with_suffix(".lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            remove(partial)


def remove(path: Path) -> None:
    """Remove a folder, if it is there."""
    if path.exists():
        shutil.rmtree(path)
