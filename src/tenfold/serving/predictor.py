"""Predictions from an exported model, by ONNX Runtime: no TensorFlow, and an answer at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tenfold import machine
from tenfold.errors import RunError
from tenfold.files import read_file
from tenfold.serving import onnx_cost, onnx_file
from tenfold.serving.export.facts import FORMAT, INPUT, OUTPUT

_BATCH_PIXELS = 2**16
"""Pixels of the pictures that are computed at a time: 64 pictures of 32x32. More are no faster,
because what lies between two layers should stay in the processor's cache; and memory is bounded."""

_FILE_BYTES = 1 << 30


class Predictor:
    """A model that a training or ``tenfold export --format onnx`` wrote.

    One may be used from several threads at a time.

    Args:
        path: of the file.
        threads: how many compute one call; None: as many as there are cores.

    Attributes:
        path: of the file.
        class_names: the classes, in the order of the probabilities.
        size: side of the pictures that it takes, pixels.
        facts: all that the file says of itself, as texts by name; see docs/export.md.

    Raises:
        RunError: the file is missing, damaged, or not one of ours.
    """

    path: Path
    class_names: tuple[str, ...]
    size: int
    facts: Mapping[str, str]

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        self.path = path
        try:
            content = read_file(path, _FILE_BYTES)
        except OSError as error:
            raise RunError(
                f"model {path} cannot be read ({error.strerror}); check the path"
            ) from None
        try:
            onnx_file.check(content)
            facts = onnx_file.metadata(content)
            self.class_names, self.size = _understand(facts)
            self.facts = MappingProxyType(facts)
            numbers = onnx_cost.reckon(content, self.size).numbers
            self._batch = max(
                1, min(_BATCH_PIXELS // self.size**2, onnx_cost.MOST_NUMBERS // numbers)
            )
            self._session = _open(content, threads or machine.usable_cores())
            _check_shapes(self._session, self.size, len(self.class_names))
        except ValueError as error:
            raise RunError(
                f"model {path} is damaged or was not made by Tenfold: {_first_line(error)}; "
                "export it again"
            ) from None

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated probabilities of pictures, in bounded memory whatever their number.

        Args:
            pixels: uint8 (N, size, size, 3).

        Returns:
            float32 (N, classes), in the order of `class_names`.

        Raises:
            ValueError: the pixels have another shape or type.
            RunError: the model cannot be computed, although it could be loaded.
        """
        size = self.size
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3):
            raise ValueError(
                f"pixels must be uint8 of shape (N, {size}, {size}, 3). "
                f"Received: {pixels.dtype} of shape {pixels.shape}"
            )
        result = np.empty((len(pixels), len(self.class_names)), np.float32)
        for at in range(0, len(pixels), self._batch):
            batch = np.ascontiguousarray(pixels[at : at + self._batch])
            try:
                result[at : at + self._batch] = self._session.run([OUTPUT], {INPUT: batch})[0]
            except Exception as error:  # its exceptions have no base class of their own
                raise RunError(
                    f"model {self.path} cannot be computed: {_first_line(error)}; export it again"
                ) from None
        return result


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


def _open(content: bytes, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it has to say comes as an exception
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base class of their own
        raise ValueError(str(error)) from None


def _understand(facts: Mapping[str, str]) -> tuple[tuple[str, ...], int]:
    """Class names and size."""
    if facts.get("format") != FORMAT:
        raise ValueError("it does not say what its classes are")
    names, size = json.loads(facts.get("class_names", "0")), json.loads(facts.get("size", "0"))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("its class names are no list of texts")
    if type(size) is not int or size < 1:
        raise ValueError("its pictures have no size")
    return tuple(names), size


def _check_shapes(session: ort.InferenceSession, size: int, classes: int) -> None:
    """Refuse a graph that is not from pictures of that size to that many probabilities."""
    inputs = [(tensor.name, tensor.type, tensor.shape[1:]) for tensor in session.get_inputs()]
    outputs = [(tensor.name, tensor.type, tensor.shape[1:]) for tensor in session.get_outputs()]
    if inputs != [(INPUT, "tensor(uint8)", [size, size, 3])] or outputs != [
        (OUTPUT, "tensor(float)", [classes])
    ]:
        raise ValueError(
            f"it is not a graph from pictures of {size}x{size} to the probabilities of {classes} "
            "classes"
        )
