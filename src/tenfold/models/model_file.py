"""Model files from anywhere: all that Keras would do for one is looked at before Keras does it.

A ``.keras`` file is a zip with a description of the network in JSON and its weights in HDF5. Keras
refuses Python code in it. It still makes whatever object of its own the description names, some of
which read other files; unpacks further members of the zip; and takes memory for weights of any
size that the description declares. So only what describes a network of plain layers gets through.
"""

from __future__ import annotations

import json
import math
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

_MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}
_FILE_BYTES = 1 << 30
_CONFIG_BYTES = 4 << 20  # a network of a hundred layers has 100 KiB
_OBJECTS = 20_000
_VALUES = 100_000
_STATES = 1 << 20  # bytes; the generators of dropout have states, which are not in the file
_OUTPUT = 1 << 28
"""The most numbers that a layer may give for one picture."""

_NETWORKS = {("keras.src.models.functional", "Functional"), ("keras", "Functional")}
_LAYERS = frozenset({
    "Activation", "Add", "Average", "AveragePooling2D", "BatchNormalization", "Concatenate",
    "Conv2D", "Cropping2D", "Dense", "DepthwiseConv2D", "Dropout", "ELU", "Flatten",
    "GlobalAveragePooling2D", "GlobalMaxPooling2D", "GroupNormalization", "InputLayer",
    "LayerNormalization", "LeakyReLU", "MaxPooling2D", "Maximum", "Multiply", "Permute", "PReLU",
    "ReLU", "Rescaling", "Reshape", "SeparableConv2D", "Softmax", "SpatialDropout2D", "Subtract",
    "UnitNormalization", "ZeroPadding2D",
})  # fmt: skip
"""Layers that compute, from numbers alone, and read nothing."""

_PARTS = {
    "keras": frozenset({"DTypePolicy"}),
    "keras.layers": _LAYERS,
    "keras.initializers": frozenset(
        {
            "Constant",
            "GlorotNormal",
            "GlorotUniform",
            "HeNormal",
            "HeUniform",
            "LecunNormal",
            "LecunUniform",
            "Ones",
            "RandomNormal",
            "RandomUniform",
            "TruncatedNormal",
            "VarianceScaling",
            "Zeros",
        }
    ),
    "keras.regularizers": frozenset({"L1", "L2", "L1L2"}),
}


class UnsafeModelError(Exception):
    """A model file holds what no network of Tenfold's has; the message says what."""


def check_model_file(path: Path) -> None:
    """Refuse a model file that is anything but a network of plain layers and its weights.

    Raises:
        UnsafeModelError: it is.
        OSError, zipfile.BadZipFile, ValueError, KeyError: it is damaged.
    """
    if not path.is_file():
        raise UnsafeModelError("it is no regular file")
    if path.stat().st_size > _FILE_BYTES:
        raise UnsafeModelError(f"it is larger than {_FILE_BYTES >> 30} GiB")
    with zipfile.ZipFile(path) as archive:
        _check_members(archive.infolist())
        config = _read_config(archive.read("config.json"))
        with archive.open("model.weights.h5") as file, h5py.File(file, "r") as weights:
            stored = _check_weights(weights)
    _check_memory(config, stored)


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    names = sorted(member.filename for member in members)
    if names != sorted(_MEMBERS):
        unexpected = next((name for name in names if name not in _MEMBERS), None)
        if unexpected is None:
            raise UnsafeModelError("it lacks a part, or has one twice")
        raise UnsafeModelError(f"it holds {unexpected!r}")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED:  # Keras compresses nothing
            raise UnsafeModelError(f"{member.filename} is compressed")
        if member.filename == "config.json" and member.file_size > _CONFIG_BYTES:
            raise UnsafeModelError("its description is too long")


def _read_config(content: bytes) -> dict[str, Any]:
    """The description of the network, once everything in it is of a known kind."""
    try:
        config = json.loads(content)
    except RecursionError:
        raise UnsafeModelError("its description is nested too deep") from None
    if not isinstance(config, dict) or _kind(config) not in _NETWORKS:
        raise UnsafeModelError("it does not describe a network")
    # How it was trained; it is not loaded. Only at the top does Keras leave it out.
    config = {**config, "compile_config": None}
    waiting: list[Any] = [config.get("config")]
    count = 0
    while waiting:
        value = waiting.pop()
        count += 1
        if count > _VALUES:
            raise UnsafeModelError("its description is too long")
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            if "class_name" in value or "module" in value:
                _check_kind(value)
    return config


def _kind(value: dict[str, Any]) -> tuple[Any, Any]:
    return value.get("module"), value.get("class_name")


def _check_kind(value: dict[str, Any]) -> None:
    """Refuse a description of an object that is none of those that make up a network."""
    module, name = _kind(value)
    if (module, name) == (None, "__keras_tensor__"):
        return
    known = _PARTS.get(module) if isinstance(module, str) else None
    if known is None or not isinstance(name, str) or name not in known:
        raise UnsafeModelError(f"it asks for {module}.{name}")
    if value.get("registered_name") not in (None, name):
        raise UnsafeModelError(f"it asks for {value['registered_name']!r}")
    if value.get("compile_config"):
        raise UnsafeModelError(f"it says how to train a {name}")


def _check_weights(weights: h5py.File) -> int:
    """The bytes of all weights, once nothing in the file leads out of it or is not what it seems.

    HDF5 can link to other files, present parts of them as its own, and unpack a byte to gigabytes.
    """
    total = 0
    seen = set()
    waiting: list[h5py.Group] = [weights]
    while waiting:
        group = waiting.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise UnsafeModelError(f"its weights have a link, {name!r}")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise UnsafeModelError(f"its weights have {name!r} in two places")
            seen.add(address)
            if len(seen) > _OBJECTS:
                raise UnsafeModelError("its weights have too many parts")
            if isinstance(item, h5py.Group):
                waiting.append(item)
            else:
                total += _check_dataset(item, name)
    return total


def _check_dataset(item: Any, name: str) -> int:
    if not isinstance(item, h5py.Dataset):
        raise UnsafeModelError(f"its weights have {name!r}, which is no array")
    if item.external or item.is_virtual:
        raise UnsafeModelError(f"its weights take {name!r} from another file")
    size = int(math.prod(item.shape or ()) * item.dtype.itemsize)
    if item.dtype.kind not in "fiub" or item.dtype.subdtype is not None:
        raise UnsafeModelError(f"its weights have {name!r}, which holds no numbers")
    if item.chunks is not None or item.shape is None or item.id.get_storage_size() != size:
        raise UnsafeModelError(f"its weights have {name!r}, which is not stored as it is")
    return size


def _check_memory(config: dict[str, Any], stored: int) -> None:
    """Refuse a description of a larger network than there are weights for.

    The network is made without its weights: from their shapes, it is known what they would take.
    """
    # In a thread, because Keras keeps a list of weights that are still to be filled, one for each
    # thread, and would fill these with the next network.
    with ThreadPoolExecutor(1) as thread:
        network = thread.submit(_without_weights, config).result()
    declared = sum(
        math.prod(variable.shape) * _itemsize(variable.dtype) for variable in network.variables
    )
    if declared > stored + _STATES:
        raise UnsafeModelError(f"it describes {declared:,} bytes of weights, and holds {stored:,}")
    for layer in network.layers:
        for output in keras.tree.flatten(layer.output):
            if math.prod(output.shape[1:]) > _OUTPUT:
                raise UnsafeModelError(f"layer {layer.name!r} gives {output.shape} numbers")


def _without_weights(config: dict[str, Any]) -> Any:
    with keras.StatelessScope(initialize_variables=False):
        return keras.saving.deserialize_keras_object(config, safe_mode=True)


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
