"""Checkpoints: their headers, and arrays behind them, under a checksum that fits."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np

from tenfold.errors import TenfoldError
from tenfold.run import Run
from tenfold.training import growing
from tenfold.training.checkpoint import Checkpoint, Progress, write_checkpoint
from tenfold.training.keeper import CheckpointInterval, Keeper

from ..mutation import NUMBERS, TEXTS, damaged, damaged_value
from ..reader import File, Reader

_MAGIC = b"tenfold checkpoint 1\n"
_DIGEST = 32
_NAME = "step-000000007.checkpoint"
_METRICS = b'{"event": "step", "step": 7}\n' * 3
_PROGRESS = Progress(
    step=7, epoch=1, validated=2, seconds=1.5, peak_memory=10**9,
    files={"metrics.jsonl": len(_METRICS)}, callbacks={"Early": {"best": 0.5, "wait": 1}},
)  # fmt: skip
_ARRAYS = {
    "network/0/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "optimizer/0/step": np.array(7, np.int64),
    "callback/Early/0": np.zeros((0, 3), np.float32),
    "network/1/seed": np.array([1, 2], np.uint32),
}


def _seeds() -> list[File]:
    import tempfile

    files = []
    with tempfile.TemporaryDirectory() as folder:
        for arrays in ({}, _ARRAYS):
            path = Path(folder, _NAME)
            write_checkpoint(path, Checkpoint(_PROGRESS, arrays))
            files.append(File(_NAME, path.read_bytes()))
    return files


def _mutate(rng: Random, seeds: Sequence[File]) -> File:
    raw = rng.choice(seeds).content
    if rng.random() < 0.15:
        return File(_NAME, damaged(rng, raw, [seed.content for seed in seeds]))
    at = len(_MAGIC) + 8
    (length,) = struct.unpack_from("<Q", raw, at - 8)
    header, arrays = raw[at : at + length], raw[at + length : -_DIGEST]
    match rng.randrange(4):
        case 0:
            header = damaged(rng, header)
        case 1:
            value = json.loads(header)
            for _ in range(rng.choice((1, 1, 3))):
                value = damaged_value(rng, value)
            header = json.dumps(value).encode()
        case 2:
            header, arrays = _reshaped(rng, header, arrays)
        case _:
            arrays = damaged(rng, arrays)
    size = rng.choice(NUMBERS) % 2**64 if rng.random() < 0.1 else len(header)
    body = _MAGIC + struct.pack("<Q", size) + header + arrays
    return File(_NAME, body + hashlib.sha256(body).digest())


def _reshaped(rng: Random, header: bytes, arrays: bytes) -> tuple[bytes, bytes]:
    """Arrays of other shapes and types, most often with the bytes that go with them."""
    value = json.loads(header)
    for array in value["arrays"] or [value]:
        if rng.random() < 0.5:
            array["dtype"] = rng.choice(
                ("bool", "uint8", "float64", "object", "U9", "V8", "float16")
            )
            array["shape"] = [
                rng.choice((0, 1, 2, 3, abs(rng.choice(NUMBERS))))
                for _ in range(rng.choice((0, 1, 2, 5, 16, 33)))
            ]
        if rng.random() < 0.2:  # no numbers, along axes that are long all the same
            array["shape"] = rng.sample(
                [0, *(abs(rng.choice(NUMBERS)) for _ in range(rng.choice((1, 2, 4))))], 2
            )
        if rng.random() < 0.2:
            array["name"] = rng.choice((*TEXTS, "network/0/kernel"))
    value["progress"]["files"] = {rng.choice(TEXTS): rng.choice(NUMBERS), "metrics.jsonl": 1}
    return json.dumps(value).encode(), arrays[: rng.choice((0, 8, 48, len(arrays)))]


def _prepare(folder: Path) -> None:
    run = Run(folder / "run")
    run.checkpoints_path.mkdir(parents=True)


def _read(file: File, folder: Path) -> None:
    """As a training that goes on does, up to where the arrays are put into the network."""
    run = Run(folder / "run")
    (run.checkpoints_path / file.name).write_bytes(file.content)
    run.metrics_path.write_bytes(_METRICS)
    told: list[str] = []
    checkpoint = Keeper(run, CheckpointInterval(), told.append).load()
    if checkpoint is None:
        raise TenfoldError(told[0])
    growing.cut_back(run, checkpoint.progress.files)
    for values in checkpoint.arrays.values():
        values.sum()


READERS = (Reader("checkpoint", _seeds, _mutate, _read, 3, _prepare),)
