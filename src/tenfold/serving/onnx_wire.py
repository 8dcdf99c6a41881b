"""Protocol Buffers' encoding, as far as ONNX files use it: fields of a message, and nothing copied.

It is simple enough to walk without the ``onnx`` package, whose import takes a third of the time in
which a prediction should be answered.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5


_MOST_FIELDS = 100_000
_MOST_INTEGERS = 1000


def fields(content: memoryview, most: int = _MOST_FIELDS) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field, in order; values of fixed width are passed over as 0.

    Args:
        content: of the message.
        most: how many fields it may have.

    Raises:
        ValueError: the message is not well formed, or has more fields.
    """
    at = 0
    while at < len(content):
        most -= 1
        if most < 0:
            raise ValueError("it has more parts than any model")
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(content, at)
        elif kind in (_FIXED_64, _FIXED_32):
            length = 8 if kind == _FIXED_64 else 4
        else:
            raise ValueError("it is no ONNX model")
        if at + length > len(content):
            raise ValueError("it is cut off")
        yield number, content[at : at + length] if kind == _BYTES else 0
        at += length


def integers(value: int | memoryview) -> list[int]:
    """The whole numbers of a repeated field, with their signs: packed, or one of them.

    Raises:
        ValueError: the field is not well formed.
    """
    if isinstance(value, int):
        return [_signed(value)]
    if len(value) > _MOST_INTEGERS:
        raise ValueError("it has an operator with more numbers than any")
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(_signed(number))
    return found


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """A whole number, seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise ValueError("it is cut off")
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise ValueError("it is no ONNX model")


def message(value: int | memoryview) -> memoryview:
    """A field that is a message.

    Raises:
        ValueError: it is a number.
    """
    if not isinstance(value, memoryview):
        raise ValueError("it is no ONNX model")
    return value


def text(value: int | memoryview) -> str:
    """A field that is a text.

    Raises:
        ValueError: it is a number, or no UTF-8.
    """
    return bytes(message(value)).decode()  # UnicodeDecodeError is a ValueError
