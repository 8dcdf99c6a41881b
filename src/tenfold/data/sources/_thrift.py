"""Thrift's compact encoding, in which Parquet files describe themselves, read within bounds.

Apache Thrift: "Thrift Compact protocol encoding" (thrift-compact-protocol.md).
"""

from __future__ import annotations

from typing import Any

Struct = dict[int, Any]
"""Values by the number of their field: whole numbers, bytes, truths, lists and structs."""

_MOST_DEPTH = 16
_TRUE, _FALSE, _BYTE, _I64, _DOUBLE = 1, 2, 3, 6, 7
_BINARY, _LIST, _SET, _MAP, _STRUCT = 8, 9, 10, 11, 12


class TruncatedError(ValueError):
    """The bytes end before the struct does."""


class Reader:
    """Reads one struct.

    Args:
        content: begins with it.
        most: how many values it may hold, so that a byte for each cannot fill the memory.

    Attributes:
        at: where the next byte is read; after `struct`, where the struct ended.
    """

    def __init__(self, content: bytes, most: int) -> None:
        self.at = 0
        self._content = content
        self._left = most

    def struct(self, depth: int = 0) -> Struct:
        """The struct.

        Raises:
            TruncatedError: the content ends before it does.
            ValueError: it is malformed, nested deeply, or holds more values than it may.
        """
        found: Struct = {}
        number = 0
        while (head := self._byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 15
            found[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > _MOST_DEPTH:
            raise ValueError("too many values, or nested too deep")
        if kind in (_TRUE, _FALSE, _BYTE):  # a truth is a byte where it stands in a list
            return self._byte()
        if _BYTE < kind <= _I64:
            return self._zigzag()
        if kind == _DOUBLE:
            return self._take(8)
        if kind == _BINARY:
            return self._take(self._varint())
        if kind in (_LIST, _SET):
            head = self._byte()
            count = self._varint() if head >> 4 == 15 else head >> 4
            return [self._value(head & 15, depth + 1) for _ in range(count)]
        if kind == _MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            return [
                (self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1))
                for _ in range(count)
            ]
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError(f"a value of unknown kind {kind}")

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self._content):
            raise TruncatedError("cut off")
        taken, self.at = self._content[self.at : end], end
        return taken

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number without end")

    def _zigzag(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)
