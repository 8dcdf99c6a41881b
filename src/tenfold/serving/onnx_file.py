"""What an ONNX file holds, read from its bytes before anything loads it.

A model file is input like any other, and ONNX lets it name other files to read, operators that
other libraries bring, and graphs within graphs. None of ours does, so whatever does is refused
here. Protocol Buffers' encoding is simple enough to walk without the ``onnx`` package, whose import
takes a third of the time in which a prediction should be answered.

The numbers are those of fields in ``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

OPERATORS: Final = frozenset(
    {
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Clip",
        "Concat",
        "Conv",
        "Div",
        "Flatten",
        "Gemm",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "HardSwish",
        "Identity",
        "MaxPool",
        "Mul",
        "Pad",
        "Relu",
        "Selu",
        "Sigmoid",
        "Softmax",
        "Tanh",
        "Transpose",
    }
)
"""Those that `tenfold.serving.export.onnx_layers` writes. Each computes from its inputs alone."""

_LARGEST_ATTRIBUTE = 1024
"""Kernels, strides and margins beyond this are no network's, but an attempt to use up memory."""

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5


class _Model:
    GRAPH, OPSET, METADATA, TRAINING, FUNCTIONS = 7, 8, 14, 20, 25


class _Graph:
    NODE, INITIALIZER, SPARSE_INITIALIZER = 1, 5, 15


class _Node:
    OPERATOR, ATTRIBUTE, DOMAIN = 4, 5, 7


class _Attribute:
    INTEGER, TENSOR, GRAPH, INTEGERS, TENSORS, GRAPHS = 3, 5, 6, 8, 10, 11
    SPARSE, SPARSES, TYPE, TYPES = 22, 23, 14, 15


class _Tensor:
    EXTERNAL, LOCATION = 13, 14


def check(content: bytes) -> None:
    """Refuse a file that holds more than a graph of plain operators and its weights.

    Args:
        content: of the file.

    Raises:
        ValueError: why, in a few words.
    """
    graphs = 0
    for number, value in _fields(memoryview(content)):
        if number == _Model.GRAPH:
            graphs += 1
            _check_graph(_message(value))
        elif number in (_Model.TRAINING, _Model.FUNCTIONS):
            raise ValueError("it holds functions of its own")
        elif number == _Model.OPSET and any(
            n == 1 and _text(v) for n, v in _fields(_message(value))
        ):
            raise ValueError("it needs operators that are not ONNX's own")
    if graphs != 1:
        raise ValueError("it is no ONNX model")


def metadata(content: bytes) -> dict[str, str]:
    """The texts that a model says of itself, by name.

    Raises:
        ValueError: the content is no ONNX model.
    """
    found = {}
    for number, value in _fields(memoryview(content)):
        if number == _Model.METADATA:
            pair = {key: _text(text) for key, text in _fields(_message(value))}
            found[pair.get(1, "")] = pair.get(2, "")
    return found


def _check_graph(graph: memoryview) -> None:
    for number, value in _fields(graph):
        if number == _Graph.NODE:
            _check_node(_message(value))
        elif number == _Graph.SPARSE_INITIALIZER:
            raise ValueError("it holds sparse weights")
        elif number == _Graph.INITIALIZER:
            for field, content in _fields(_message(value)):
                if field == _Tensor.EXTERNAL or (field == _Tensor.LOCATION and content != 0):
                    raise ValueError("its weights lie in another file")


def _check_node(node: memoryview) -> None:
    operator = ""
    for number, value in _fields(node):
        if number == _Node.OPERATOR:
            operator = _text(value)
        elif number == _Node.DOMAIN and _text(value) not in ("", "ai.onnx"):
            raise ValueError("it needs operators that are not ONNX's own")
        elif number == _Node.ATTRIBUTE:
            _check_attribute(_message(value))
    if operator not in OPERATORS:
        raise ValueError(f"it has an operator {operator!r}, which no export of Tenfold has")


def _check_attribute(attribute: memoryview) -> None:
    for number, value in _fields(attribute):
        if number in (
            _Attribute.TENSOR,
            _Attribute.GRAPH,
            _Attribute.TENSORS,
            _Attribute.GRAPHS,
            _Attribute.SPARSE,
            _Attribute.SPARSES,
            _Attribute.TYPE,
            _Attribute.TYPES,
        ):
            raise ValueError("it has graphs or tensors inside of operators")
        if number == _Attribute.INTEGER:
            integers = [value]
        elif number == _Attribute.INTEGERS:  # packed, or one field for each
            integers = list(_varints(value)) if isinstance(value, memoryview) else [value]
        else:
            continue
        for integer in integers:
            if isinstance(integer, int) and not _is_small(integer):
                raise ValueError("it has an operator of a size that no network has")


def _is_small(integer: int) -> bool:
    signed = integer - 2**64 if integer >= 2**63 else integer
    return abs(signed) <= _LARGEST_ATTRIBUTE


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field, in order; values of fixed width are passed over as 0.

    Raises:
        ValueError: the message is not well formed.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_FIXED_64, _FIXED_32):
            length = 8 if kind == _FIXED_64 else 4
        else:
            raise ValueError("it is no ONNX model")
        if at + length > len(message):
            raise ValueError("it is cut off")
        yield number, message[at : at + length] if kind == _BYTES else 0
        at += length


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A whole number, seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("it is cut off")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise ValueError("it is no ONNX model")


def _message(value: int | memoryview) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError("it is no ONNX model")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)).decode()  # UnicodeDecodeError is a ValueError
