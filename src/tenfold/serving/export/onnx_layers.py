"""The layers of a network as operators of an ONNX graph, and their weights.

Inside, pictures are channels first, as ONNX has them. Weights are turned to fit when they are
written, so that the only transposition at run time is that of the uint8 pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tenfold.serving.export.facts import INPUT, Facts


@dataclass(frozen=True, eq=False)
class Weight:
    """A constant of the graph.

    Attributes:
        name: in the graph.
        shape: in the graph.
        values: float32, in C order those of the graph; a view of the network's where possible.
    """

    name: str
    shape: tuple[int, ...]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Value:
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


class Writer:
    """Collects nodes and weights; what adds some gives the value that they compute."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[Weight] = []

    def node(self, kind: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        """Add an operator; the name of what it gives."""
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, values: Any, shape: tuple[int, ...] | None = None) -> str:
        """Add a constant, of its values' own shape where none is given; its name."""
        array = np.asarray(values, dtype=np.float32)
        self.weights.append(Weight(name, array.shape if shape is None else shape, array))
        return name

    def normalized(self, facts: Facts) -> Value:
        """The picture as the network takes it, from the pixels; see `Normalization.apply`."""
        scale, offset = np.array(facts.scale), np.array(facts.offset)
        name = self.node("Transpose", [INPUT], perm=[0, 3, 1, 2])
        name = self.node("Cast", [name], to=TensorProto.FLOAT)
        multiplier = self.weight("multiplier", (1 / scale).reshape(-1, 1, 1))
        shift = self.weight("shift", (-offset / scale).reshape(-1, 1, 1))
        name = self.node("Mul", [name, multiplier])
        return Value(self.node("Add", [name, shift]), (facts.size, facts.size, 3))

    def divided(self, value: Value, temperature: float) -> Value:
        """The logits, as the softmax takes them."""
        if temperature == 1.0:
            return value
        divisor = self.weight("temperature", temperature)
        return replace(value, name=self.node("Div", [value.name, divisor]))

    def layer(self, layer: keras.Layer, inputs: list[Value]) -> Value:
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

    def _conv(self, layer: keras.Layer, x: Value) -> Value:
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
        return self._activated(Value(name, layer.output.shape[1:]), layer.activation)

    def _pool(self, layer: keras.Layer, x: Value) -> Value:
        kind = "MaxPool" if type(layer) is keras.layers.MaxPooling2D else "AveragePool"
        name = self.node(
            kind,
            [x.name],
            layer.name,
            kernel_shape=list(layer.pool_size),
            strides=list(layer.strides),
            pads=_padding(layer.padding, x.shape, layer.pool_size, layer.strides, (1, 1)),
        )
        return Value(name, layer.output.shape[1:])

    def _batch_norm(self, layer: keras.Layer, x: Value) -> Value:
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

    def _add(self, layer: keras.Layer, first: Value, *others: Value) -> Value:
        total = first
        for value in others:
            if (value.shape, value.before) != (first.shape, first.before):
                raise NotImplementedError(f"layer {layer.name} adds tensors of different shapes")
            total = replace(total, name=self.node("Add", [total.name, value.name]))
        return total

    def _concatenate(self, layer: keras.Layer, *values: Value) -> Value:
        rank = len(values[0].shape)
        if layer.axis not in (-1, rank) or any(value.before is not None for value in values):
            raise NotImplementedError(f"layer {layer.name} concatenates no channels")
        name = self.node("Concat", [value.name for value in values], layer.name, axis=1)
        return Value(name, layer.output.shape[1:])

    def _global_pool(self, layer: keras.Layer, x: Value) -> Value:
        if layer.keepdims:
            raise NotImplementedError(f"layer {layer.name} keeps the dimensions that it pools")
        largest = type(layer) is keras.layers.GlobalMaxPooling2D
        kind = "GlobalMaxPool" if largest else "GlobalAveragePool"
        pooled = self.node(kind, [x.name], layer.name)
        return Value(self.node("Flatten", [pooled], axis=1), layer.output.shape[1:])

    def _activation(self, layer: keras.Layer, x: Value) -> Value:
        return self._activated(x, layer.activation)

    def _relu(self, layer: keras.Layer, x: Value) -> Value:
        if layer.negative_slope or layer.threshold:
            raise NotImplementedError(f"layer {layer.name} is a ReLU that lets negatives through")
        if layer.max_value is None:
            return replace(x, name=self.node("Relu", [x.name], layer.name))
        bounds = [
            self.weight(f"{layer.name}.{name}", value)
            for name, value in (("least", 0.0), ("most", layer.max_value))
        ]
        return replace(x, name=self.node("Clip", [x.name, *bounds], layer.name))

    def _flatten(self, layer: keras.Layer, x: Value) -> Value:
        name = self.node("Flatten", [x.name], layer.name, axis=1)
        return Value(name, layer.output.shape[1:], x.shape if len(x.shape) == 3 else None)

    def _dense(self, layer: keras.Layer, x: Value) -> Value:
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
        return self._activated(Value(name, layer.output.shape[1:]), layer.activation)

    def _dropout(self, layer: keras.Layer, x: Value) -> Value:
        return x

    def _softmax(self, layer: keras.Layer, x: Value) -> Value:
        return replace(x, name=self.node("Softmax", [x.name], axis=1))

    def _activated(self, x: Value, activation: Callable[[Any], Any]) -> Value:
        kind = getattr(activation, "__name__", str(activation))
        if kind == "linear":
            return x
        if kind == "softmax" and len(x.shape) == 1:
            return replace(x, name=self.node("Softmax", [x.name], axis=1))
        if kind not in _ACTIVATIONS:
            raise NotImplementedError(f"activation {kind} is one that no export knows")
        return replace(x, name=self.node(_ACTIVATIONS[kind], [x.name]))


_ACTIVATIONS = {
    "relu": "Relu",
    "selu": "Selu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "hard_silu": "HardSwish",
}

_LAYERS: dict[type[keras.Layer], Callable[..., Value]] = {
    keras.layers.Conv2D: Writer._conv,
    keras.layers.DepthwiseConv2D: Writer._conv,
    keras.layers.MaxPooling2D: Writer._pool,
    keras.layers.AveragePooling2D: Writer._pool,
    keras.layers.GlobalAveragePooling2D: Writer._global_pool,
    keras.layers.GlobalMaxPooling2D: Writer._global_pool,
    keras.layers.BatchNormalization: Writer._batch_norm,
    keras.layers.Activation: Writer._activation,
    keras.layers.ReLU: Writer._relu,
    keras.layers.Add: Writer._add,
    keras.layers.Concatenate: Writer._concatenate,
    keras.layers.Flatten: Writer._flatten,
    keras.layers.Dense: Writer._dense,
    keras.layers.Dropout: Writer._dropout,
    keras.layers.Softmax: Writer._softmax,
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
