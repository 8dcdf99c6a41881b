"""A trained network as an ONNX file: uint8 pixels in, calibrated probabilities out.

Written layer by layer with the ``onnx`` package's own helpers, because that is smaller, faster and
more exact than a converter that traces a TensorFlow graph: nothing is traced or folded, and a
network that trained in bf16 computes in float32, as its weights are stored. docs/export.md has the
figures. Weights go from the network to the file one by one, so that a training that just fits into
memory can still be exported at its end.

Inside, pictures are channels first, as ONNX has them. Weights are turned to fit when they are
written, so that the only transposition at run time is that of the uint8 pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tenfold.files import atomic_path
from tenfold.serving.export.facts import INPUT, OUTPUT, Facts

OPSET, IR_VERSION = 17, 8
"""ONNX Runtime 1.12 and later read these, and whatever else is of 2022 or later."""

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
"""Numbers of the fields in ``onnx.proto`` that are written piece by piece."""


def write_onnx(network: keras.Model, facts: Facts, path: Path) -> None:
    """Write a network; the file appears whole or not at all.

    Args:
        network: from `tenfold.models.build_network`, trained.
        facts: its normalization and temperature become part of the graph, all else metadata.
        path: the file.

    Raises:
        OutputError: the disk is full or takes no writes.
        NotImplementedError: the network has a layer that cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for piece in serialize(network, facts):
            file.write(piece)


def serialize(network: keras.Model, facts: Facts) -> Iterator[bytes | memoryview]:
    """The file in pieces, of which the largest is the largest weight; see `write_onnx`."""
    writer = _Writer()
    values = {id(network.inputs[0]): writer.normalized(facts)}
    for layer in network.layers[1:]:
        inputs, output = _connections(layer, values)
        if layer.name == OUTPUT:
            inputs = [writer.divided(inputs[0], facts.temperature)]
        values[id(output)] = writer.layer(layer, inputs)
    writer.node("Identity", [values[id(network.outputs[0])].name], name=OUTPUT)

    size, classes = facts.size, len(facts.class_names)
    graph = helper.make_graph(
        writer.nodes,
        network.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", size, size, 3])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", classes])],
    )
    model = onnx.ModelProto(
        ir_version=IR_VERSION, producer_name="tenfold", producer_version=facts.version
    )
    model.opset_import.add(domain="", version=OPSET)
    helper.set_model_props(model, facts.to_texts())
    yield model.SerializeToString()

    # A message is preceded by its length, so that of the graph must be known before its weights.
    head = graph.SerializeToString()
    weights = [(weight.head(), weight.values) for weight in writer.weights]
    length = len(head) + sum(
        len(_opening(_INITIALIZER, len(head) + values.nbytes)) + len(head) + values.nbytes
        for head, values in weights
    )
    yield _opening(_GRAPH, length) + head
    for head, array in weights:
        yield _opening(_INITIALIZER, len(head) + array.nbytes) + head
        yield np.ascontiguousarray(array).data.cast("B")


def _opening(field: int, length: int) -> bytes:
    """What precedes a field of that many bytes in Protocol Buffers' encoding."""
    return _varint(field << 3 | 2) + _varint(length)


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


@dataclass(frozen=True, eq=False)
class _Weight:
    """A constant of the graph.

    Attributes:
        name: in the graph.
        shape: in the graph.
        values: float32, in C order those of the graph; a view of the network's where possible.
    """

    name: str
    shape: tuple[int, ...]
    values: NDArray[np.float32]

    def head(self) -> bytes:
        """The tensor up to where its values begin."""
        tensor = TensorProto(name=self.name, data_type=TensorProto.FLOAT, dims=self.shape)
        return bytes(tensor.SerializeToString()) + _opening(_RAW_DATA, self.values.nbytes)


@dataclass(frozen=True)
class _Value:
    """A tensor of the graph.

    Attributes:
        name: in the graph.
        shape: of one picture's part of it, as Keras counts: (H, W, C), or (F,).
        before: what it had for a shape before it was flattened, where that was (H, W, C): the
            graph's order of its values is then (C, H, W), and Keras's is (H, W, C).
    """

    name: str
    shape: tuple[int, ...]
    before: tuple[int, ...] | None = None


def _connections(layer: keras.Layer, values: dict[int, _Value]) -> tuple[list[_Value], Any]:
    """The values that a layer takes, in order, and the Keras tensor that it gives."""
    for node in layer._inbound_nodes:
        if all(id(tensor) in values for tensor in node.input_tensors):
            return [values[id(tensor)] for tensor in node.input_tensors], node.outputs[0]
    raise NotImplementedError(f"layer {layer.name} is not connected to the network's input")


class _Writer:
    """Collects nodes and weights. Each method adds some and gives the value that they compute."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[_Weight] = []

    def node(self, kind: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, values: Any, shape: tuple[int, ...] | None = None) -> str:
        array = np.asarray(values, dtype=np.float32)
        self.weights.append(_Weight(name, array.shape if shape is None else shape, array))
        return name

    def normalized(self, facts: Facts) -> _Value:
        """The picture as the network takes it, from the pixels; see `Normalization.apply`."""
        scale, offset = np.array(facts.scale), np.array(facts.offset)
        name = self.node("Transpose", [INPUT], perm=[0, 3, 1, 2])
        name = self.node("Cast", [name], to=TensorProto.FLOAT)
        multiplier = self.weight("multiplier", (1 / scale).reshape(-1, 1, 1))
        shift = self.weight("shift", (-offset / scale).reshape(-1, 1, 1))
        name = self.node("Mul", [name, multiplier])
        return _Value(self.node("Add", [name, shift]), (facts.size, facts.size, 3))

    def divided(self, value: _Value, temperature: float) -> _Value:
        if temperature == 1.0:
            return value
        divisor = self.weight("temperature", temperature)
        return replace(value, name=self.node("Div", [value.name, divisor]))

    def layer(self, layer: keras.Layer, inputs: list[_Value]) -> _Value:
        """What a layer computes when it predicts.

        Raises:
            NotImplementedError: no method of `_LAYERS` writes such a layer.
        """
        try:
            write = _LAYERS[type(layer)]
        except KeyError:
            raise NotImplementedError(
                f"layer {layer.name} is a {type(layer).__name__}, which no export knows"
            ) from None
        return write(self, layer, *inputs)

    def conv(self, layer: keras.Layer, x: _Value) -> _Value:
        """A convolution; a depthwise one has a group for each channel."""
        depthwise = type(layer) is keras.layers.DepthwiseConv2D
        kernel = _array(layer.kernel)  # (h, w, in, out), or (h, w, channels, multiplier)
        if depthwise:
            height, width, channels, multiplier = kernel.shape
            kernel = kernel.reshape(height, width, 1, channels * multiplier)
        inputs = [x.name, self.weight(f"{layer.name}.kernel", kernel.transpose(3, 2, 0, 1))]
        if layer.use_bias:
            inputs.append(self.weight(f"{layer.name}.bias", _array(layer.bias)))
        name = self.node(
            "Conv",
            inputs,
            layer.name,
            kernel_shape=list(kernel.shape[:2]),
            strides=list(layer.strides),
            dilations=list(layer.dilation_rate),
            group=x.shape[-1] if depthwise else layer.groups,
            pads=_padding(layer.padding, x.shape, kernel.shape, layer.strides, layer.dilation_rate),
        )
        return self.activated(_Value(name, layer.output.shape[1:]), layer.activation)

    def pool(self, layer: keras.Layer, x: _Value) -> _Value:
        kind = "MaxPool" if type(layer) is keras.layers.MaxPooling2D else "AveragePool"
        name = self.node(
            kind,
            [x.name],
            layer.name,
            kernel_shape=list(layer.pool_size),
            strides=list(layer.strides),
            pads=_padding(layer.padding, x.shape, layer.pool_size, layer.strides, (1, 1)),
        )
        return _Value(name, layer.output.shape[1:])

    def batch_norm(self, layer: keras.Layer, x: _Value) -> _Value:
        if layer.axis not in (-1, len(x.shape)) or x.before is not None:
            raise NotImplementedError(f"layer {layer.name} normalizes no channels")
        channels = x.shape[-1]
        weights = {
            "gamma": _array(layer.gamma) if layer.scale else np.ones(channels),
            "beta": _array(layer.beta) if layer.center else np.zeros(channels),
            "mean": _array(layer.moving_mean),
            "variance": _array(layer.moving_variance),
        }
        inputs = [self.weight(f"{layer.name}.{name}", value) for name, value in weights.items()]
        name = self.node("BatchNormalization", [x.name, *inputs], layer.name, epsilon=layer.epsilon)
        return replace(x, name=name)

    def flatten(self, layer: keras.Layer, x: _Value) -> _Value:
        name = self.node("Flatten", [x.name], layer.name, axis=1)
        return _Value(name, layer.output.shape[1:], x.shape if len(x.shape) == 3 else None)

    def dense(self, layer: keras.Layer, x: _Value) -> _Value:
        if len(x.shape) != 1:
            raise NotImplementedError(f"layer {layer.name} takes no rows of values")
        kernel = _array(layer.kernel)
        shape = kernel.shape
        if x.before is not None:
            kernel = kernel.reshape(*x.before, layer.units).transpose(2, 0, 1, 3)
        inputs = [x.name, self.weight(f"{layer.name}.kernel", kernel, shape)]
        if layer.use_bias:
            inputs.append(self.weight(f"{layer.name}.bias", _array(layer.bias)))
        name = self.node("Gemm", inputs, layer.name)
        return self.activated(_Value(name, layer.output.shape[1:]), layer.activation)

    def dropout(self, layer: keras.Layer, x: _Value) -> _Value:
        return x

    def softmax(self, layer: keras.Layer, x: _Value) -> _Value:
        return replace(x, name=self.node("Softmax", [x.name], axis=1))

    def activated(self, x: _Value, activation: Callable[[Any], Any]) -> _Value:
        kind = getattr(activation, "__name__", str(activation))
        if kind == "linear":
            return x
        if kind == "softmax" and len(x.shape) == 1:
            return replace(x, name=self.node("Softmax", [x.name], axis=1))
        if kind not in _ACTIVATIONS:
            raise NotImplementedError(f"activation {kind} is one that no export knows")
        return replace(x, name=self.node(_ACTIVATIONS[kind], [x.name]))


_ACTIVATIONS = {"relu": "Relu", "selu": "Selu", "sigmoid": "Sigmoid", "tanh": "Tanh"}

_LAYERS: dict[type[keras.Layer], Callable[..., _Value]] = {
    keras.layers.Conv2D: _Writer.conv,
    keras.layers.DepthwiseConv2D: _Writer.conv,
    keras.layers.MaxPooling2D: _Writer.pool,
    keras.layers.AveragePooling2D: _Writer.pool,
    keras.layers.BatchNormalization: _Writer.batch_norm,
    keras.layers.Flatten: _Writer.flatten,
    keras.layers.Dense: _Writer.dense,
    keras.layers.Dropout: _Writer.dropout,
    keras.layers.Softmax: _Writer.softmax,
}


def _array(variable: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = keras.ops.convert_to_numpy(variable).astype(np.float32, copy=False)
    return array


def _padding(
    padding: str,
    shape: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[int]:
    """Rows above, columns before, rows below, columns after: as Keras pads, the odd one last."""
    if padding == "valid":
        return [0, 0, 0, 0]
    before, after = [], []
    for axis in (0, 1):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        steps = -(-shape[axis] // strides[axis])
        missing = max(0, (steps - 1) * strides[axis] + reach - shape[axis])
        before.append(missing // 2)
        after.append(missing - missing // 2)
    return before + after
