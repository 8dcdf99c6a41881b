"""What a Parquet file takes to be read, from its footer and the headers of its pages.

The footer says how large a column is once it is unpacked, and may lie. Each page says it again, in
a header before it; by that the library takes memory, and refuses a page that unpacks to another
size. So the headers are what is checked, before the library sees the file.

The numbers are those of fields in ``parquet.thrift``.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tenfold.data.sources._thrift import Reader, Struct, TruncatedError

_MAGIC = b"PAR1"
_FOOTER_BYTES = 4 << 20
_FOOTER_VALUES = 400_000
_HEADER_BYTES = 1 << 20
_HEADER_VALUES = 200
_PAGES = 200_000
_DATA_PAGE, _DICTIONARY = 64 << 20, 16 << 20
_FIXED = 1 << 13

_BYTE_ARRAY, _FIXED_LENGTH = 6, 7
_ENCODINGS = frozenset({0, 2, 3, 4, 5, 8, 9})
"""Those by which a page holds what it says. The others, DELTA_LENGTH_BYTE_ARRAY and
DELTA_BYTE_ARRAY, say it once more in the packed data, and repeat long texts at no cost."""


class _Footer:
    SCHEMA, ROW_GROUPS = 2, 4


class _Element:
    TYPE, TYPE_LENGTH, NAME, CHILDREN = 1, 2, 4, 5


class _Column:
    ROW_GROUP_COLUMNS, METADATA = 1, 3
    VALUES, COMPRESSED, DATA_AT, DICTIONARY_AT = 5, 7, 9, 11


class _Page:
    KIND, UNPACKED, PACKED, DATA, DICTIONARY, DATA_V2 = 1, 2, 3, 5, 7, 8
    VALUES, ENCODING, ENCODING_V2 = 1, 2, 4


class UnreadableError(Exception):
    """A file is no Parquet file, or takes more memory than a table does; the message says why."""


@dataclass(frozen=True)
class Contents:
    """What is known of a file once it is checked.

    Attributes:
        expanded: bytes of all pages of the columns that are wanted, unpacked.
        texts: the names of those of them that hold texts.
    """

    expanded: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class _Leaf:
    """A column, or one of several that make up a nested one, by the schema's own word."""

    name: str
    nested: bool
    kind: int | None
    length: int


def check(path: Path, wanted: Collection[str]) -> Contents:
    """Refuse a file whose columns take much memory to read.

    Args:
        path: the file.
        wanted: names of the columns that will be read.

    Raises:
        UnreadableError: it is damaged, or a page is too large, or of an encoding that may expand.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            footer = _footer(file, size)
            leaves = list(_leaves(footer[_Footer.SCHEMA]))
            for leaf in leaves:
                if leaf.name in wanted:
                    _check_leaf(leaf)
            expanded = 0
            for count, page in enumerate(_pages(file, size, footer, leaves, wanted), 1):
                expanded += _check_page(page)
                if count > _PAGES:
                    raise UnreadableError(f"it has more than {_PAGES:,} pages")
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise UnreadableError("its description is damaged") from None
    texts = (leaf.name for leaf in leaves if leaf.name in wanted and leaf.kind == _BYTE_ARRAY)
    return Contents(expanded, tuple(texts))


def _footer(file: BinaryIO, size: int) -> Struct:
    tail = os.pread(file.fileno(), 8, max(0, size - 8))
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or length > size - 8:
        raise UnreadableError("it is no whole Parquet file")
    if length > _FOOTER_BYTES:
        raise UnreadableError(f"its description is larger than {_FOOTER_BYTES >> 20} MiB")
    content = os.pread(file.fileno(), length, size - 8 - length)
    return Reader(content, _FOOTER_VALUES).struct()


def _leaves(schema: list[Struct]) -> Iterator[_Leaf]:
    """The columns in their order; the schema lists a tree, each group before what is in it."""
    elements = schema[1:]  # after the root of the tree
    missing: list[int] = []  # how many children each group above still has to come
    name = ""
    for element in elements:
        nested = bool(missing)
        if nested:
            missing[-1] -= 1
        else:
            name = element[_Element.NAME].decode()
        if children := element.get(_Element.CHILDREN, 0):
            missing.append(children)
        else:
            kind, length = element.get(_Element.TYPE), element.get(_Element.TYPE_LENGTH, 0)
            yield _Leaf(name, nested, kind, length)
        while missing and missing[-1] == 0:
            missing.pop()


def _check_leaf(leaf: _Leaf) -> None:
    if leaf.nested:
        raise UnreadableError(f"its column {leaf.name!r} holds more than one value a row")
    if leaf.kind == _FIXED_LENGTH and not 0 <= leaf.length <= _FIXED:
        raise UnreadableError(f"its column {leaf.name!r} holds values longer than any text")


def _pages(
    file: BinaryIO, size: int, footer: Struct, leaves: list[_Leaf], wanted: Collection[str]
) -> Iterator[Struct]:
    """The header of each page of the columns that are wanted, as far as they are read."""
    for group in footer[_Footer.ROW_GROUPS]:
        for leaf, column in zip(leaves, group[_Column.ROW_GROUP_COLUMNS], strict=True):
            if leaf.name in wanted:
                yield from _column_pages(file, size, column[_Column.METADATA])


def _column_pages(file: BinaryIO, size: int, column: Struct) -> Iterator[Struct]:
    starts = [column[_Column.DATA_AT], column.get(_Column.DICTIONARY_AT, 0)]
    at = min(start for start in starts if start > 0)
    end = at + column[_Column.COMPRESSED]
    if end > size or column[_Column.COMPRESSED] < 0:
        raise UnreadableError("a column lies beyond its end")
    left = column[_Column.VALUES]
    while at < end and left > 0:
        page, length = _page(file, at)
        yield page
        if page[_Page.PACKED] < 0:
            raise UnreadableError("a page has less than no bytes")
        left -= _part(page, _Page.DATA, _Page.DATA_V2).get(_Page.VALUES, 0)
        at += length + page[_Page.PACKED]


def _page(file: BinaryIO, at: int) -> tuple[Struct, int]:
    """The header of a page, and its length."""
    for most in (1 << 10, _HEADER_BYTES):
        reader = Reader(os.pread(file.fileno(), most, at), _HEADER_VALUES)
        try:
            return reader.struct(), reader.at
        except TruncatedError:
            continue
    raise UnreadableError("a page has no whole header")


def _part(page: Struct, *fields: int) -> dict[int, Any]:
    return next((page[field] for field in fields if field in page), {})


def _check_page(page: Struct) -> int:
    """The bytes of a page, unpacked."""
    unpacked: int = page[_Page.UNPACKED]
    dictionary = _part(page, _Page.DICTIONARY)
    if not 0 <= unpacked <= (_DICTIONARY if dictionary else _DATA_PAGE):
        raise UnreadableError(f"a page of it takes {unpacked:,} bytes, more than any needs")
    if dictionary.get(_Page.VALUES, 0) > unpacked:
        raise UnreadableError("a page has more values than bytes")
    encodings = {
        _part(page, _Page.DATA).get(_Page.ENCODING, 0),
        _part(page, _Page.DATA_V2).get(_Page.ENCODING_V2, 0),
        dictionary.get(_Page.ENCODING, 0),
    }
    if not encodings <= _ENCODINGS:
        raise UnreadableError("a page has a delta encoding; write it with plain or dictionary ones")
    return unpacked
