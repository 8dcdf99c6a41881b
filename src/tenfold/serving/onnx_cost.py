"""What a graph takes to compute, reckoned from its shapes before anything computes it.

A file of a kilobyte can ask for gigabytes: margins, kernels as large as the picture, two small
tensors that are added to a large one. ONNX Runtime takes the memory and the time that it is asked
for. So the shape of every value is followed through the graph, as ONNX defines its operators, for
one picture; a graph that the rules here do not cover is not one that Tenfold wrote.

The numbers are those of fields in ``onnx.proto``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tenfold.serving.export.facts import INPUT
from tenfold.serving.onnx_wire import fields, integers, message, text

MOST_NUMBERS = 1 << 28
"""The most numbers that all values of a graph may have together, for one picture."""

_MOST_WORK = 1 << 38
"""The most multiplications for one picture: some seconds."""

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INTEGER, _ATTRIBUTE_TEXT, _ATTRIBUTE_INTEGERS = 1, 3, 4, 8
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_NAME = 1, 2, 8
_FLOAT = 1

Shape = tuple[int, ...]
Attributes = dict[str, list[int]]


@dataclass(frozen=True)
class Cost:
    """What one picture takes.

    Attributes:
        numbers: of all values together.
        work: multiplications, about.
    """

    numbers: int
    work: int


def reckon(content: bytes, size: int) -> Cost:
    """What a graph takes for one picture.

    Args:
        content: of a file that `tenfold.serving.onnx_file.check` has let pass.
        size: side of the pictures, pixels.

    Raises:
        ValueError: it takes more than any network's does, or its shapes do not fit each other; in a
            few words.
    """
    (graph,) = (message(v) for number, v in fields(memoryview(content)) if number == _MODEL_GRAPH)
    shapes: dict[str, Shape] = {INPUT: (1, size, size, 3)}
    for number, value in fields(graph):
        if number == _GRAPH_INITIALIZER:
            name, shape = _weight(message(value))
            _add(shapes, name, shape)
    numbers = size * size * 3
    if sum(map(math.prod, shapes.values())) - numbers > len(content) // 4:
        raise ValueError("it has fewer weights than it says")
    work = 0
    for number, value in fields(graph):
        if number == _GRAPH_NODE:
            node = _Node.read(message(value))
            try:
                shape, more = node.result([shapes[name] for name in node.inputs])
            except (KeyError, IndexError, ValueError, ZeroDivisionError):
                raise ValueError(f"its {node.operator} does not fit its inputs") from None
            _add(shapes, node.output, shape)
            numbers += math.prod(shape)
            work += more
            if numbers > MOST_NUMBERS or work > _MOST_WORK:
                raise ValueError("it takes more memory or time than a network does")
    return Cost(numbers, work)


def _add(shapes: dict[str, Shape], name: str, shape: Shape) -> None:
    if name in shapes:
        raise ValueError(f"it has two values {name[:80]!r}")
    if min(shape, default=1) < 1:
        raise ValueError(f"its value {name[:80]!r} is empty")
    shapes[name] = shape


def _weight(tensor: memoryview) -> tuple[str, Shape]:
    name, shape = "", []
    for number, value in fields(tensor):
        if number == _TENSOR_SHAPE:
            shape += integers(value)
        elif number == _TENSOR_NAME:
            name = text(value)
        elif number == _TENSOR_TYPE and value != _FLOAT:
            raise ValueError("its weights are no float32")
    return name, tuple(shape)


@dataclass
class _Node:
    """An operator with its inputs, of which those that are left out are not counted."""

    operator: str = ""
    output: str = ""
    inputs: list[str] = field(default_factory=list)
    attributes: Attributes = field(default_factory=dict)

    @classmethod
    def read(cls, content: memoryview) -> _Node:
        node, outputs = cls(), []
        for number, value in fields(content):
            if number == _NODE_INPUT and len(message(value)):
                node.inputs.append(text(value))
            elif number == _NODE_OUTPUT:
                outputs.append(text(value))
            elif number == _NODE_OPERATOR:
                node.operator = text(value)
            elif number == _NODE_ATTRIBUTE:
                node._read_attribute(message(value))
        if len(outputs) != 1:
            raise ValueError(f"its {node.operator} gives {len(outputs)} values")
        node.output = outputs[0]
        return node

    def _read_attribute(self, content: memoryview) -> None:
        name, numbers = "", []
        for number, value in fields(content):
            if number == _ATTRIBUTE_NAME:
                name = text(value)
            elif number in (_ATTRIBUTE_INTEGER, _ATTRIBUTE_INTEGERS):
                numbers += integers(value)
            elif number == _ATTRIBUTE_TEXT:  # auto_pad, by which shapes would have other rules
                raise ValueError("it has an operator that is told something in words")
        self.attributes[name] = numbers

    def result(self, shapes: Sequence[Shape]) -> tuple[Shape, int]:
        """The shape of what it gives, and its work.

        Raises:
            ValueError, IndexError, ZeroDivisionError: the shapes are not those of such inputs.
        """
        return _RULES[self.operator](shapes, self.attributes)


def _same(shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, int]:
    return shapes[0], math.prod(shapes[0])


def _cast(shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, int]:
    if attributes["to"] != [_FLOAT]:
        raise ValueError("to another type than float32")
    return _same(shapes, attributes)


def _broadcast(shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, int]:
    shape = np.broadcast_shapes(*shapes)
    return shape, math.prod(shape)


def _concat(shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, int]:
    (axis,) = attributes["axis"]
    others = {(*shape[:axis], *shape[axis:][1:]) for shape in shapes}
    if axis < 0 or len(others) != 1:
        raise ValueError("sides that differ")
    first = shapes[0]
    shape = (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])
    return shape, math.prod(shape)


def _transpose(shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, int]:
    order = attributes.get("perm", list(range(len(shapes[0])))[::-1])
    if sorted(order) != list(range(len(shapes[0]))):
        raise ValueError("no order of the axes")
    return tuple(shapes[0][axis] for axis in order), math.prod(shapes[0])


def _flatten(shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, int]:
    (axis,) = attributes.get("axis", [1])
    shape = shapes[0]
    return (math.prod(shape[:axis]), math.prod(shape[axis:])), math.prod(shape)


def _gemm(shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, int]:
    (rows, inner), (other, columns) = (
        shape[::-1] if attributes.get(name, [0]) != [0] else shape
        for shape, name in zip(shapes, ("transA", "transB"), strict=False)
    )
    if inner != other:
        raise ValueError("no product of such matrices")
    return (rows, columns), rows * inner * columns


def _conv(shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, int]:
    (count, _, *sides), (channels, inputs, *kernel) = shapes[:2]
    shape = (count, channels, *_windows(sides, kernel, attributes))
    return shape, math.prod(shape) * inputs * math.prod(kernel)


def _pool(shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, int]:
    count, channels, *sides = shapes[0]
    kernel = attributes["kernel_shape"]
    shape = (count, channels, *_windows(sides, kernel, attributes))
    return shape, math.prod(shape) * math.prod(kernel)


def _global_pool(shapes: Sequence[Shape], attributes: Attributes) -> tuple[Shape, int]:
    count, channels, *sides = shapes[0]
    return (count, channels, *(1 for _ in sides)), math.prod(shapes[0])


def _windows(sides: Sequence[int], kernel: Sequence[int], attributes: Attributes) -> list[int]:
    """How many places a window has along each axis."""
    if attributes.get("ceil_mode", [0]) != [0]:
        raise ValueError("windows that reach beyond the margin")
    pads = attributes.get("pads", [0] * 2 * len(sides))
    places = []
    for side, width, before, after, stride, dilation in zip(
        sides,
        kernel,
        pads[: len(sides)],
        pads[len(sides) :],
        attributes.get("strides", [1] * len(sides)),
        attributes.get("dilations", [1] * len(sides)),
        strict=True,
    ):
        if min(width, stride, dilation, before + 1, after + 1) < 1:
            raise ValueError("a window of no size")
        places.append((side + before + after - (width - 1) * dilation - 1) // stride + 1)
    return places


_Rule = Callable[[Sequence[Shape], Attributes], tuple[Shape, int]]
_RULES: Mapping[str, _Rule] = {
    **dict.fromkeys(
        (
            "BatchNormalization",
            "Clip",
            "HardSwish",
            "Identity",
            "Relu",
            "Selu",
            "Sigmoid",
            "Softmax",
            "Tanh",
        ),
        _same,
    ),
    **dict.fromkeys(("Add", "Div", "Mul"), _broadcast),
    **dict.fromkeys(("AveragePool", "MaxPool"), _pool),
    "Cast": _cast,
    "Concat": _concat,
    "Conv": _conv,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "Transpose": _transpose,
}
