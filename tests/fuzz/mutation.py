"""Damage to files: to their bytes, to the numbers in them, and to the values of their texts."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from random import Random
from typing import Any

NUMBERS = (
    0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 100, 127, 128, 255, 256, 257, 511, 512, 1023,
    1024, 4095, 4096, 32767, 32768, 65535, 65536, 100_000, 2**20, 2**24, 2**28, 2**31 - 1, 2**31,
    2**32 - 1, 2**32, 2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -1, -2, -128, -2**31, -2**63,
)  # fmt: skip
TEXTS = (
    "", " ", ".", "..", "/", "\\", "\0", "\n", "a\nb", "../../x", "/etc/passwd", "/dev/zero",
    "C:\\x", "~", "$HOME", "%s%n", "{0.__class__}", "__class__", "__import__('os')", "é" * 40,
    "\u202e", "\ufeff", "\ud7ff", "😀", "x" * 300, "x" * 5000, "file:///etc/passwd",
    "http://127.0.0.1:9/", "hf://x/y", "nan", "inf", "1e999", "none", "true", "\x1b[2J",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, *NUMBERS, 0.5, -0.5, 1e308, -1e308, 5e-324, 10**400, *TEXTS, [], {}, [[]],
    [None], {"": None}, [0] * 100, {"a": {"b": {"c": []}}},
)  # fmt: skip


def damaged(rng: Random, content: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Some bytes changed, cut, repeated, inserted, or taken from another file."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        _CHANGES[rng.randrange(len(_CHANGES))](rng, data, others)
    return bytes(data)


def _flip(rng: Random, data: bytearray, _: Sequence[bytes]) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(rng: Random, data: bytearray, _: Sequence[bytes]) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        if data:
            data[rng.randrange(len(data))] = rng.choice(
                (0, 1, 0x20, 0x7F, 0x80, 0xFF, rng.randrange(256))
            )


def _truncate(rng: Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _cut(rng: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start, length = _place(rng, data)
    del data[start : start + length]


def _repeat(rng: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start, length = _place(rng, data)
    data[start:start] = data[start : start + length] * rng.choice((1, 2, 10))


def _insert(rng: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start, length = _place(rng, data)
    data[start:start] = rng.randbytes(min(length, 64))


def _splice(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    if others:
        other = rng.choice(others)
        start, length = _place(rng, bytearray(other))
        at = rng.randrange(len(data) + 1)
        data[at : at + rng.choice((0, length))] = other[start : start + length]


def _number(rng: Random, data: bytearray, _: Sequence[bytes]) -> None:
    """A hostile binary number, of any width and either order."""
    width, letter = rng.choice(((1, "B"), (2, "H"), (4, "I"), (4, "I"), (8, "Q")))
    if len(data) >= width:
        packed = struct.pack(rng.choice("<>") + letter, rng.choice(NUMBERS) % 2 ** (8 * width))
        at = rng.randrange(len(data) - width + 1)
        data[at : at + width] = packed


def _digits(rng: Random, data: bytearray, _: Sequence[bytes]) -> None:
    """A hostile number in place of a written one."""
    found = list(re.finditer(rb"[0-9]+", data[:65536]))
    if found:
        match = rng.choice(found)
        data[match.start() : match.end()] = str(rng.choice(NUMBERS)).encode()


def _place(rng: Random, data: bytearray) -> tuple[int, int]:
    length = min(len(data), rng.choice((1, 2, 4, 8, 32, 100, 512, 4096)))
    return rng.randrange(len(data) - length + 1), length


_CHANGES = (_flip, _set, _truncate, _cut, _repeat, _insert, _splice, _number, _number, _digits)


def damaged_value(rng: Random, value: Any) -> Any:
    """A copy of a JSON-like value with one part of it replaced, left out, repeated or wrapped."""
    value = json.loads(json.dumps(value))
    holder, key = [value], 0  # type: tuple[Any, Any]
    while isinstance(holder[key], dict | list) and holder[key] and rng.random() < 0.85:
        holder = holder[key]
        key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    match rng.randrange(8):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[rng.choice((*TEXTS, *_some_keys(rng, value)))] = holder.pop(key)
        case 2 if isinstance(holder, list):
            holder *= rng.choice((0, 2, 50))
        case 3:
            holder[key] = [holder[key]] * rng.choice((1, 2, 100))
        case 4:
            for _ in range(rng.choice((1, 10, 200))):
                holder[key] = {"x": holder[key]} if rng.random() < 0.5 else [holder[key]]
        case _:
            holder[key] = rng.choice(VALUES)
    return value


def _some_keys(rng: Random, value: Any) -> list[str]:
    return list(value)[:20] if isinstance(value, dict) else []
