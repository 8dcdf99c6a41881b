"""Fingerprints: SHA-256 that changes whenever a source's pictures, labels or splits do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tenfold.errors import SourceError

_BLOCK = 1 << 20


def of_file(kind: str, path: Path) -> str:
    """Fingerprint of a single file: its content, wherever it lies."""
    digest = _start(kind)
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def of_records(kind: str, records: Iterable[tuple[object, ...]]) -> str:
    """Fingerprint of a sequence of records: files by name, size and time of change, arrays."""
    digest = _start(kind)
    for record in records:
        for field in record:
            encoded = field if isinstance(field, bytes) else str(field).encode("utf-8")
            # Lengths keep ("ab", "c") and ("a", "bc") apart.
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
    return digest.hexdigest()


def _start(kind: str) -> hashlib._Hash:
    """Two kinds that read the same bytes differently must not share a fingerprint."""
    return hashlib.sha256(kind.encode("ascii") + b"\0")
