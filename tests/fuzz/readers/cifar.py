"""CIFAR's pickles, which are programs, and its binary batches."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np

from tenfold.data.sources import _cifar_pickle, open_source
from tenfold.data.sources._cifar_classes import CIFAR10_CLASSES

from ..mutation import NUMBERS, TEXTS, damaged
from ..reader import File, Reader
from .archives import tar

_ROWS = np.arange(2 * 3072, dtype=np.int64).astype(np.uint8).reshape(2, 3072)
_BATCH = {b"batch_label": b"one", b"labels": [3, 9], b"data": _ROWS, b"filenames": [b"a", b"b"]}
_GLOBALS = (
    b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cos\nsystem\n", b"cbuiltins\neval\n", b"cnumpy\nload\n", b"cnumpy\ndtype.__class__\n",
)  # fmt: skip


def official(value: object) -> bytes:
    """A pickle as Python 2 and its NumPy wrote the official files."""
    return b"\x80\x02" + _official(value) + b"."


def _official(value: object) -> bytes:
    match value:
        case dict():
            return b"}(" + b"".join(_official(k) + _official(v) for k, v in value.items()) + b"u"
        case list():
            return b"](" + b"".join(map(_official, value)) + b"e"
        case bytes():
            return b"T" + struct.pack("<i", len(value)) + value
        case int():
            return b"J" + struct.pack("<i", value)
        case _:
            array = np.asarray(value)
            dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffK\x00tb"
            shape = b"(" + b"".join(map(_official, array.shape)) + b"t"
            start = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
            return start + b"(K\x01" + shape + dtype + b"\x89" + _official(array.tobytes()) + b"tb"


def _instruction(rng: Random) -> bytes:
    """One instruction with an argument, most often one that the reader knows."""
    number = rng.choice(NUMBERS)
    text = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
    match rng.randrange(14):
        case 0:
            return rng.choice(_GLOBALS)
        case 1:
            return b"J" + struct.pack("<i", (number + 2**31) % 2**32 - 2**31)
        case 2:
            return b"K" + bytes([number % 256])
        case 3:
            return b"\x8a" + bytes([min(len(text), 255)]) + text[:255]
        case 4:
            return b"U" + bytes([min(len(text), 255)]) + text[:255]
        case 5:
            return rng.choice((b"T", b"B", b"X")) + struct.pack("<i", len(text)) + text
        case 6:
            return rng.choice((b"T", b"B", b"X", b"r", b"j")) + struct.pack("<I", number % 2**32)
        case 7:
            return rng.choice((b"q", b"h")) + bytes([rng.choice((0, 1, 2, number % 256))])
        case 8:
            return b"U\x02u1"
        case 9:
            return b"\x8e" + struct.pack("<Q", number % 2**64)
        case 10:
            return rng.choice((b"c%s\n%s\n", b"i%s\n%s\n")) % (text, text)
        case 11:
            return rng.choice(
                (b"P1\n", b"Q", b"\x82\x01", b"o", b"\x81", b"\x92", b"\x96", b"I01\n")
            )
        case _:
            return bytes(
                [rng.choice(b"(]}l)td\x85\x86\x87\x85\x87RRRbbbsuaeNN\x88\x890120\x94\x93")]
            )


def _program(rng: Random) -> bytes:
    body = b"".join(_instruction(rng) for _ in range(rng.choice((1, 3, 8, 20, 60))))
    if rng.random() < 0.5:  # where the data should be
        body = b"}(U\x04data" + body + b"U\x06labels](K\x01K\x02eu"
    return b"\x80\x02" + body + b"."


def _pickle_seeds() -> list[File]:
    values = (_BATCH, {"label_names": list(CIFAR10_CLASSES)}, {**_BATCH, b"data": _ROWS[:1]})
    later = [File("batch", pickle.dumps(value, p)) for value in values for p in (3, 4)]
    return [File("batch", official(_BATCH)), *later]


def _mutate_pickle(rng: Random, seeds: Sequence[File]) -> File:
    if rng.random() < 0.4:
        return File("batch", _program(rng))
    raw = rng.choice(seeds).content
    if rng.random() < 0.5:  # instructions in the middle of a good one
        at = rng.randrange(len(raw))
        raw = (
            raw[:at] + b"".join(_instruction(rng) for _ in range(rng.choice((1, 2, 5)))) + raw[at:]
        )
        return File("batch", raw)
    return File("batch", damaged(rng, raw, [seed.content for seed in seeds]))


def _read_pickle(file: File, _: Path) -> None:
    _cifar_pickle.load(file.content, "batch")


def _archive(batch: bytes, binary: bool) -> bytes:
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    if binary:
        meta = "\n".join(CIFAR10_CLASSES).encode()
        return tar({f"c/{name}.bin": batch for name in names} | {"c/batches.meta.txt": meta})
    meta = pickle.dumps({"label_names": list(CIFAR10_CLASSES)}, 4)
    return tar({f"c/{name}": batch for name in names} | {"c/batches.meta": meta})


def _batch_seeds() -> list[File]:
    records = b"".join(
        bytes([label]) + row.tobytes() for label, row in zip((3, 9), _ROWS, strict=True)
    )
    return [File("python", official(_BATCH)), File("binary", records)]


def _mutate_batch(rng: Random, seeds: Sequence[File]) -> File:
    seed = rng.choice(seeds)
    if seed.name == "binary" or rng.random() < 0.3:
        return File(seed.name, damaged(rng, seed.content, [other.content for other in seeds]))
    value = dict(_BATCH)
    key = rng.choice(list(value))
    value[key] = rng.choice(
        ([3, rng.choice(NUMBERS)], [0.5], [b"3", b"4"], [True, False], _ROWS[:, :9], _ROWS[0], _ROWS.T,
         _ROWS.reshape(2, 3, 1024), None, {}, _ROWS.astype(float), np.array([], np.uint8), rng.choice(TEXTS))
    )  # fmt: skip
    return File(seed.name, pickle.dumps(value, rng.choice((3, 4))))


def _read_batch(file: File, folder: Path) -> None:
    path = folder / "c.tar"
    path.write_bytes(_archive(file.content, file.name == "binary"))
    for picture in open_source(path).pictures():
        len(picture.content)


READERS = (
    Reader("cifar pickle", _pickle_seeds, _mutate_pickle, _read_pickle, 5),
    Reader("cifar batch", _batch_seeds, _mutate_batch, _read_batch, 1),
)
