"""model.onnx: Protocol Buffers, of which every field may be damaged and the lengths mended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np

from ..mutation import NUMBERS, TEXTS, damaged
from ..reader import File, Reader

SIZE = 8
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_KINDS = ("Pad", "Conv", "Loop", "If", "Scan", "Gather", "Transpose", "Cast", "GlobalAveragePool", "Softmax", "Div",
          "AveragePool", "MaxPool", "Gemm", "Identity", "ConstantOfShape", "Flatten")  # fmt: skip

_Field = tuple[int, int, int | bytes]
"""Number, kind on the wire, and value."""


def _seeds() -> list[File]:
    from tenfold.models import build_network
    from tenfold.recipe import ModelSection, Recipe
    from tenfold.serving.export.facts import Facts
    from tenfold.serving.export.onnx import serialize

    facts = Facts(
        class_names=("cat", "dog", "é"), size=SIZE, offset=(100.0, 110.0, 120.0), scale=(50.0, 60.0, 70.0),
        temperature=1.5, recipe=Recipe(name="lab-1").to_toml(), version="1", test_accuracy=0.5,
    )  # fmt: skip
    networks = (
        build_network(ModelSection(name=name), size=SIZE, classes=3, seed=1)
        for name in ("lab-1", "lab-2")
    )
    return [File("model.onnx", b"".join(serialize(network, facts))) for network in networks]


def _mutate(rng: Random, seeds: Sequence[File]) -> File:
    raw = rng.choice(seeds).content
    if rng.random() < 0.1:
        return File("model.onnx", damaged(rng, raw, [seed.content for seed in seeds]))
    for _ in range(rng.choice((1, 1, 2, 4))):
        raw = _damaged_message(rng, raw, 0)
    return File("model.onnx", raw)


def _damaged_message(rng: Random, raw: bytes, depth: int) -> bytes:
    """A message with one field of it, or of a message inside, changed."""
    fields = _fields(raw)
    if not fields:
        return damaged(rng, raw)
    place = rng.randrange(len(fields))
    number, kind, value = fields[place]
    match rng.randrange(12):
        case 0:
            del fields[place]
        case 1:
            fields.insert(rng.randrange(len(fields) + 1), fields[place])
        case 2:
            other = rng.choice(fields)
            fields[place] = (number, other[1], other[2])
        case 3:
            fields[place] = (rng.randrange(1, 27), kind, value)
        case _ if isinstance(value, int):
            fields[place] = (number, kind, rng.choice((*NUMBERS, 1, 2, 3, 7, 10, 11)) % 2**64)
        case 4:
            fields[place] = (number, kind, rng.choice((*TEXTS, *_KINDS)).encode("utf-8", "replace"))
        case 5 if kind == _BYTES:
            numbers = [rng.choice(NUMBERS) % 2**64 for _ in range(rng.choice((1, 2, 4, 8)))]
            fields[place] = (number, kind, b"".join(map(_varint, numbers)))
        case 6:
            fields[place] = (number, kind, json.dumps(rng.choice((*NUMBERS, *TEXTS))).encode())
        case _ if kind == _BYTES and len(value) < 100_000 and depth < 5 and _fields(value):
            fields[place] = (number, kind, _damaged_message(rng, value, depth + 1))
        case _:
            fields[place] = (number, kind, damaged(rng, value[:4096]) + value[4096:])
    return b"".join(
        _varint(number << 3 | kind) + _wire(kind, value) for number, kind, value in fields
    )


def _fields(raw: bytes) -> list[_Field]:
    """The fields of a message; none where it is no message."""
    fields: list[_Field] = []
    at = 0
    try:
        while at < len(raw):
            key, at = _number(raw, at)
            kind = key & 7
            value: int | bytes
            if kind == _VARINT:
                value, at = _number(raw, at)
            else:
                length = {_FIXED_64: 8, _FIXED_32: 4}.get(kind)
                if kind == _BYTES:
                    length, at = _number(raw, at)
                if length is None or at + length > len(raw):
                    return []
                value = raw[at : at + length]
                at += length
            fields.append((key >> 3, kind, value))
    except IndexError:
        return []
    return fields


def _number(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (raw[at] & 0x7F) << shift
        at += 1
        shift += 7
        if raw[at - 1] < 0x80:
            return value, at


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def _wire(kind: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(value) if kind == _VARINT else value.to_bytes(8, "little")
    return _varint(len(value)) + value if kind == _BYTES else value


def _read(file: File, folder: Path) -> None:
    from tenfold.serving.predictor import Predictor

    path = folder / file.name
    path.write_bytes(file.content)
    model = Predictor(path, threads=1)
    probabilities = model.predict(np.full((2, model.size, model.size, 3), 99, np.uint8))
    assert probabilities.shape == (2, len(model.class_names))


READERS = (Reader("model.onnx", _seeds, _mutate, _read, 1),)
