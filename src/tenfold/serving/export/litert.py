"""A trained network as a LiteRT file (once TensorFlow Lite): for phones and small boards.

The graph is converted up to the logits. The softmax is put behind them afterwards, in float32 and
with the temperature in it, because an int8 softmax gives probabilities in steps of 1/256.

Class names and the other facts lie in a zip archive at the end of the file, as in TensorFlow Lite's
own metadata: readers of the model pass over it, and ``unzip`` finds it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flatbuffers
import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from tenfold.files import to_json
from tenfold.serving.export.facts import FACTS_FILE, INPUT, OUTPUT, Facts
from tenfold.serving.export.pixel_function import PixelsToLogits

LABELS_FILE = "labels.txt"
"""The class names, one a line, where other tools look for them: in the archive at the end."""


def write_litert(
    network: keras.Model,
    facts: Facts,
    path: Path,
    *,
    representative: Iterable[NDArray[np.uint8]] | None = None,
) -> None:
    """Write a network as a LiteRT file.

    Args:
        network: from `tenfold.models.build_network`, trained.
        facts: its normalization and temperature become part of the graph; all is in `FACTS_FILE`.
        path: of the file.
        representative: single pictures of the training split, uint8 (1, size, size, 3): the graph
            is quantized to int8, with the ranges that its values take on these. None: float32.
    """
    module = PixelsToLogits(network, facts, {"selu": _selu})
    function = tf.function(module.logits, input_signature=module.signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], module
    )
    if representative is not None:
        pictures = representative
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([picture] for picture in pictures)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with _quiet():
        content = converter.convert()
    path.write_bytes(_with_softmax(content, facts.temperature))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FACTS_FILE, to_json(facts.to_texts(), indent=2) + "\n")
        archive.writestr(LABELS_FILE, "".join(f"{name}\n" for name in facts.class_names))


def load_litert(path: Path, *, threads: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """What the file computes, by LiteRT's interpreter: from pixels to probabilities."""
    with _quiet():
        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
    [given], [asked] = interpreter.get_input_details(), interpreter.get_output_details()
    shape = tuple(given["shape"])

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        nonlocal shape
        if pixels.shape != shape:
            with _quiet():
                interpreter.resize_tensor_input(given["index"], pixels.shape)
                interpreter.allocate_tensors()
            shape = pixels.shape
        interpreter.set_tensor(given["index"], pixels)
        interpreter.invoke()
        result: NDArray[np.float32] = interpreter.get_tensor(asked["index"])
        return result

    return predict


def _selu(x: Any) -> Any:
    """SELU, of operations whose results int8 resolves.

    The converter's own way takes the exponential of what is above 0 too, and then has no steps left
    for what is below; and it quantizes ``minimum`` wrongly.
    """
    scale, alpha = 1.0507009873554805, 1.6732632423543772  # of Klambauer et al. (2017)
    above = tf.nn.relu(x)
    return scale * above + scale * alpha * tf.nn.elu(x - above)


def _with_softmax(content: bytes, temperature: float) -> bytes:
    """The model with ``softmax(logits / temperature)`` for its output."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    [graph] = model.subgraphs
    [logits] = graph.outputs
    tensor = schema.TensorT()
    tensor.name, tensor.type = OUTPUT.encode(), schema.TensorType.FLOAT32
    tensor.shape, tensor.shapeSignature = (
        graph.tensors[logits].shape,
        graph.tensors[logits].shapeSignature,
    )
    tensor.hasRank = True
    tensor.buffer = 0  # the empty one: its values are computed
    graph.tensors.append(tensor)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SOFTMAX
    code.version = 1
    model.operatorCodes.append(code)
    softmax = schema.OperatorT()
    softmax.opcodeIndex = len(model.operatorCodes) - 1
    softmax.inputs, softmax.outputs = [logits], [len(graph.tensors) - 1]
    softmax.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    softmax.builtinOptions = schema.SoftmaxOptionsT()
    softmax.builtinOptions.beta = 1 / temperature
    graph.operators.append(softmax)
    graph.outputs = softmax.outputs
    graph.tensors[graph.inputs[0]].name = INPUT.encode()
    for signature in model.signatureDefs or []:
        signature.inputs[0].name = INPUT.encode()
        signature.outputs[0].name = OUTPUT.encode()
        signature.outputs[0].tensorIndex = softmax.outputs[0]
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what C++ prints on stderr from it, unless something goes wrong."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        real = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(real, kept.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
