"""Preparing a store: one pass over a source, its pixels to a file, its labels to arrays."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenfold.data import decode
from tenfold.data.decode_pool import cut_into_chunks, decode_chunks
from tenfold.data.decode_worker import write_at
from tenfold.data.origins import OriginWriter
from tenfold.data.sources._limits import check_classes
from tenfold.data.sources.base import Picture, Source
from tenfold.errors import SourceError
from tenfold.files import atomic_path, atomic_write_json

Progress = Callable[[int, int | None], None]
"""Called with the number of pictures done and the number expected, None where not known."""

FORMAT_VERSION = 2
"""Part of a store's key: raise it whenever the files of a store change their meaning."""

SPLIT_CODES = {None: -1, "train": 0, "validation": 1, "test": 2}

SKIPPED_SHARE = 0.01
"""The largest share of a source's pictures that may be damaged, where it is to be trained on."""

MOST_SKIPPED = 100_000
"""The most damaged pictures that are remembered by name; what has more is no source of pictures."""

_COPY_BYTES = 8 * 2**20


def prepare(
    source: Source,
    fingerprint: str,
    size: int,
    folder: Path,
    progress: Progress | None,
    workers: int,
) -> None:
    """Decode every picture of a source into ``folder``, an empty one; all files are durable.

    Raises:
        SourceError: the source cannot be read, has no pictures or only one class, or all of its
            pictures or more than `MOST_SKIPPED` are damaged.
        OSError: the folder cannot be written.
    """
    catalogue = _Catalogue(source)
    skipped: list[tuple[int, str, str]] = []
    done = 0
    with (folder / "images.raw").open("x+b") as file, OriginWriter(folder) as origins:
        chunks = cut_into_chunks(catalogue.read(), size)
        with closing(decode_chunks(chunks, size, file.fileno(), workers)) as decoded:
            for chunk, rows in decoded:
                for position, reason in rows.failures:
                    skipped.append((chunk.start + position, chunk.names[position], reason))
                failed = {position for position, _ in rows.failures}
                kept = [position for position in range(len(chunk.names)) if position not in failed]
                origins.append([chunk.names[position] for position in kept], rows.origins[kept])
                done += len(chunk.names)
                if len(skipped) > MOST_SKIPPED:
                    raise too_many_skipped(source.name, [entry[1:] for entry in skipped], done)
                if progress is not None:
                    progress(done, source.expected_count)
        if done == 0:
            raise SourceError(f"{source.name} holds no pictures; check that it is the right place")
        if len(skipped) == done:
            raise too_many_skipped(source.name, [entry[1:] for entry in skipped], done)
        missing = [row for row, _, _ in skipped]
        class_names, labels, splits = catalogue.finish(missing)
        _close_gaps(file.fileno(), missing, done, size * size * 3)
        os.fsync(file.fileno())
    for name, values in (("labels", labels), ("splits", splits)):
        with atomic_path(folder / f"{name}.npy") as path:
            np.save(path, values, allow_pickle=False)
    facts = {
        "format": FORMAT_VERSION,
        "decoding_rule": decode.RULE_VERSION,
        "source": source.name,
        "kind": source.kind,
        "fingerprint": fingerprint,
        "size": size,
        "class_names": class_names,
        "images_bytes": len(labels) * size * size * 3,
        "names_bytes": origins.names_bytes,
        "checksum": checksum(labels, splits),
        "skipped": [(name, reason) for _, name, reason in skipped],
    }
    atomic_write_json(folder / "store.json", facts)


def checksum(labels: NDArray[np.int32], splits: NDArray[np.int8]) -> str:
    """SHA-256, in hex, of a store's labels and splits."""
    return hashlib.sha256(labels.tobytes() + splits.tobytes()).hexdigest()


class _Catalogue:
    """Labels and splits of the pictures that stream by; five bytes a picture."""

    def __init__(self, source: Source) -> None:
        self._source = source
        # Classes in the order in which they come; which of them stay is known only at the end.
        self._classes: dict[str, int] = {}
        self._labels = array("i")
        self._splits = array("b")

    def read(self) -> Iterator[Picture]:
        """The source's pictures, each noted on the way."""
        classes, labels, splits = self._classes, self._labels, self._splits
        for picture in self._source.pictures():
            labels.append(classes.setdefault(picture.label, len(classes)))
            check_classes(self._source.name, len(classes))
            splits.append(SPLIT_CODES[picture.split])
            yield picture

    def finish(
        self, missing: Sequence[int]
    ) -> tuple[tuple[str, ...], NDArray[np.int32], NDArray[np.int8]]:
        """Class names, labels and splits, without the missing pictures."""
        came = np.delete(np.frombuffer(self._labels, np.int32), missing)
        splits = np.delete(np.frombuffer(self._splits, np.int8), missing)
        words = list(self._classes)
        present = {words[label] for label in np.unique(came)}
        if len(present) < 2:
            raise SourceError(
                f"{self._source.name} has only one class, '{min(present)}'; "
                "a classifier needs pictures of at least two"
            )
        names = self._source.class_names or tuple(sorted(present))
        unknown = present - set(names)
        if unknown:
            raise SourceError(
                f"{self._source.name}: class '{min(unknown)}' is not one of the classes that it "
                f"declares ({', '.join(names)}); correct the label"
            )
        final = {name: label for label, name in enumerate(names)}
        places = np.array([final.get(word, -1) for word in words], np.int32)
        return names, places[came], splits


def too_many_skipped(source: str, skipped: Sequence[tuple[str, str]], count: int) -> SourceError:
    """The error for a source with too many damaged pictures.

    Args:
        source: its name.
        skipped: name and reason of each damaged picture.
        count: how many pictures there are, damaged ones included.
    """
    first = ", ".join(f"{name} ({reason})" for name, reason in skipped[:3])
    more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return SourceError(
        f"{source}: {len(skipped)} of {count} pictures cannot be decoded, more than "
        f"{SKIPPED_SHARE:.0%}: {first}{more}; repair or remove them (tenfold data info lists them)"
    )


def _close_gaps(descriptor: int, missing: Sequence[int], count: int, row_bytes: int) -> None:
    """Move rows forward over the missing ones, in place, and cut the file to what is left."""
    if not missing:
        return
    target = missing[0]
    block = max(1, _COPY_BYTES // row_bytes)
    for gap, next_gap in pairwise([*missing, count]):
        for start in range(gap + 1, next_gap, block):
            rows = min(block, next_gap - start)
            write_at(
                descriptor,
                os.pread(descriptor, rows * row_bytes, start * row_bytes),
                target * row_bytes,
            )
            target += rows
    os.ftruncate(descriptor, target * row_bytes)
