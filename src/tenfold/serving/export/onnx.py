"""A trained network as an ONNX file: uint8 pixels in, calibrated probabilities out.

Written layer by layer with the ``onnx`` package's own helpers, because that is smaller, faster and
more exact than a converter that traces a TensorFlow graph: nothing is traced or folded, and a
network that trained in bf16 computes in float32, as its weights are stored. docs/export.md has the
figures. Weights go from the network to the file one by one, so that a training that just fits into
memory can still be exported at its end.

This module makes the file; `tenfold.serving.export.onnx_layers` makes the graph in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from onnx import TensorProto, helper

from tenfold.files import atomic_path
from tenfold.serving.export.facts import INPUT, OUTPUT, Facts
from tenfold.serving.export.onnx_layers import Value, Weight, Writer

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
    writer = Writer()
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
    weights = [(_head(weight), weight.values) for weight in writer.weights]
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


def _head(weight: Weight) -> bytes:
    """The tensor up to where its values begin."""
    tensor = TensorProto(name=weight.name, data_type=TensorProto.FLOAT, dims=weight.shape)
    return bytes(tensor.SerializeToString()) + _opening(_RAW_DATA, weight.values.nbytes)


def _connections(layer: keras.Layer, values: dict[int, Value]) -> tuple[list[Value], Any]:
    """The values that a layer takes, in order, and the Keras tensor that it gives."""
    for node in layer._inbound_nodes:
        if all(id(tensor) in values for tensor in node.input_tensors):
            return [values[id(tensor)] for tensor in node.input_tensors], node.outputs[0]
    raise NotImplementedError(f"layer {layer.name} is not connected to the network's input")
