"""A checkpoint: all that a training needs to go on as if it had never stopped, in one file.

The file is ``tenfold checkpoint 1`` and a newline; the length of the header, 8 bytes, little
endian; the header, a JSON object with the progress, and name, type and shape of each array; the
arrays, one after the other, little endian; and the SHA-256 of everything before it. Nothing in it
is code, and nothing of it is used before the digest is found right.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tenfold.files import atomic_path, open_file, to_json

_MAGIC = b"tenfold checkpoint 1\n"
_LARGEST_HEADER = 4 * 2**20  # some 30,000 arrays
_DIGEST = hashlib.sha256().digest_size

_Count = Annotated[int, Field(ge=0)]
Number = bool | int | float | None


class _Schema(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Progress(_Schema):
    """How far a training is, apart from its arrays.

    Attributes:
        step: training steps done.
        epoch: epochs done, their validation included.
        validated: batches of the validation done, where the steps of an epoch are done and its
            validation is not; None: there are steps to do.
        stopped: whether a callback ended the training before its last epoch.
        seconds: wall time of the training so far, over all processes that had a part in it.
        peak_memory: the largest resident size of any of these processes, in bytes.
        files: sizes of the files that grow with the training, by name in the run's folder.
        callbacks: what callbacks keep, by their class.
    """

    step: _Count = 0
    epoch: _Count = 0
    validated: _Count | None = None
    stopped: bool = False
    seconds: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    peak_memory: _Count = 0
    files: dict[str, _Count] = {}
    callbacks: dict[str, dict[str, Number]] = {}


class _Array(_Schema):
    name: str
    dtype: Literal["bool", "int32", "int64", "uint8", "uint32", "uint64", "float32", "float64"]
    shape: Annotated[list[_Count], Field(max_length=16)]

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class _Header(_Schema):
    progress: Progress
    arrays: list[_Array]


class DamagedCheckpointError(Exception):
    """A file is not the checkpoint that was written."""


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a training.

    Attributes:
        progress: how far it was.
        arrays: the value of each variable, and what callbacks keep of them, by name.
    """

    progress: Progress
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint beside ``path``, make it durable, and rename it.

    Raises:
        OutputError: the disk is full or takes no writes. What ``path`` held stays.
    """
    digest = hashlib.sha256()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for piece in _pieces(checkpoint):
            digest.update(piece)
            _put(file, piece)
        _put(file, digest.digest())


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        DamagedCheckpointError: the file is not what was written; in words.
        OSError: the disk does not give it.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256()

        def take(count: int) -> bytes:
            content = file.read(count)
            digest.update(content)
            return content

        if take(len(_MAGIC)) != _MAGIC:
            raise DamagedCheckpointError("it does not begin as a checkpoint does")
        length = take(8)
        header_size = int.from_bytes(length, "little")
        if len(length) < 8 or header_size > min(size, _LARGEST_HEADER):
            raise DamagedCheckpointError("it is too short, or its header too long")
        try:
            header = _Header.model_validate_json(take(header_size))
        except ValidationError:
            raise DamagedCheckpointError("its header is damaged") from None
        if file.tell() + sum(array.size for array in header.arrays) + _DIGEST != size:
            raise DamagedCheckpointError("it is too short or too long")
        arrays = {}
        for array in header.arrays:
            try:
                values = np.empty(array.shape, np.dtype(array.dtype).newbyteorder("<"))
            except (ValueError, MemoryError):  # such as none times more than can be counted
                raise DamagedCheckpointError("it has an array of no possible size") from None
            if values.nbytes:
                content = values.reshape(-1).view(np.uint8).data
                file.readinto(content)
                digest.update(content)
            arrays[array.name] = values
        if file.read() != digest.digest():
            raise DamagedCheckpointError("its checksum is wrong")
    return Checkpoint(header.progress, arrays)


def _pieces(checkpoint: Checkpoint) -> Iterator[bytes | memoryview]:
    """Everything but the digest, in the order of the file."""
    arrays = [
        {"name": name, "dtype": str(values.dtype), "shape": values.shape}
        for name, values in checkpoint.arrays.items()
    ]
    progress = checkpoint.progress.model_dump()
    header = to_json({"progress": progress, "arrays": arrays}).encode()
    yield _MAGIC
    yield len(header).to_bytes(8, "little")
    yield header
    for values in checkpoint.arrays.values():
        little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
        yield little.reshape(-1).view(np.uint8).data


def _put(file: BinaryIO, piece: bytes | memoryview) -> None:
    """Write one piece; tests of what an interruption leaves reach in here."""
    file.write(piece)
