"""What an ONNX file holds, read from its bytes before anything loads it.

A model file is input like any other, and ONNX lets it name other files to read, operators that
other libraries bring, and graphs within graphs. None of ours does, so whatever does is refused
here. What is left may still ask for more memory or work than a network does:
`tenfold.serving.onnx_cost` reckons that.

The numbers are those of fields in ``onnx.proto``.
"""

from __future__ import annotations

from typing import Final

from tenfold.serving.onnx_wire import fields, integers, message, text

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


_MOST_OTHERS = 4 << 20
"""The most bytes of a file that are no weights: a walk through all of them takes a second."""

_MOST_PARTS = 16
"""The most fields of a weight: its shape, type, name and values."""


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
    for number, value in fields(memoryview(content)):
        if number == _Model.GRAPH:
            graphs += 1
            _check_graph(message(value), len(content))
        elif number in (_Model.TRAINING, _Model.FUNCTIONS):
            raise ValueError("it holds functions of its own")
        elif number == _Model.OPSET and any(n == 1 and text(v) for n, v in fields(message(value))):
            raise ValueError("it needs operators that are not ONNX's own")
    if graphs != 1:
        raise ValueError("it is no ONNX model")


def metadata(content: bytes) -> dict[str, str]:
    """The texts that a model says of itself, by name.

    Raises:
        ValueError: the content is no ONNX model.
    """
    found = {}
    for number, value in fields(memoryview(content)):
        if number == _Model.METADATA:
            pair = {key: text(word) for key, word in fields(message(value), _MOST_PARTS)}
            found[pair.get(1, "")] = pair.get(2, "")
    return found


def _check_graph(graph: memoryview, size: int) -> None:
    """Check a graph in a file of that many bytes."""
    weights = sum(
        len(message(value)) for number, value in fields(graph) if number == _Graph.INITIALIZER
    )
    if size - weights > _MOST_OTHERS:
        raise ValueError("it has more parts than any model")
    for number, value in fields(graph):
        if number == _Graph.NODE:
            _check_node(message(value))
        elif number == _Graph.SPARSE_INITIALIZER:
            raise ValueError("it holds sparse weights")
        elif number == _Graph.INITIALIZER:
            for field, content in fields(message(value), _MOST_PARTS):
                if field == _Tensor.EXTERNAL or (field == _Tensor.LOCATION and content != 0):
                    raise ValueError("its weights lie in another file")


def _check_node(node: memoryview) -> None:
    operator = ""
    for number, value in fields(node):
        if number == _Node.OPERATOR:
            operator = text(value)
        elif number == _Node.DOMAIN and text(value) not in ("", "ai.onnx"):
            raise ValueError("it needs operators that are not ONNX's own")
        elif number == _Node.ATTRIBUTE:
            _check_attribute(message(value))
    if operator not in OPERATORS:
        raise ValueError(f"it has an operator {operator!r}, which no export of Tenfold has")


def _check_attribute(attribute: memoryview) -> None:
    for number, value in fields(attribute):
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
        if number in (_Attribute.INTEGER, _Attribute.INTEGERS) and any(
            abs(integer) > _LARGEST_ATTRIBUTE for integer in integers(value)
        ):
            raise ValueError("it has an operator of a size that no network has")
