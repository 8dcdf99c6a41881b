"""model.keras: a zip with a description in JSON and weights in HDF5."""

from __future__ import annotations

import functools
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from ..mutation import NUMBERS, TEXTS, damaged, damaged_value
from ..reader import File, Reader
from .archives import zipped

SIZE, CLASSES = 8, 3
_SWAPS = {
    "class_name": ("Lambda", "TFSMLayer", "TorchModuleWrapper", "StringLookup", "TextVectorization", "Hashing",
                   "Embedding", "Sequential", "function", "__lambda__", "__numpy__", "__tensor__", "UpSampling2D",
                   "ZeroPadding2D", "Dense", "GRU", "Wrapper", "Bidirectional", "__typespec__", "Model"),
    "module": ("keras.src.models.functional", "os", "builtins", "keras.utils", "keras.saving", "tests.fuzz", "this",
               "keras.src.utils.file_utils", "keras.ops", "keras", "", "keras.layers", "antigravity"),
    "registered_name": ("system", "get_file", "Custom>Dense", "load_model", "Lambda"),
    "activation": ("lambda", {"module": "builtins", "class_name": "function", "config": "eval",
                              "registered_name": "function"}, "softmax", "print"),
}  # fmt: skip


@functools.cache
def _network(name: str) -> bytes:
    from tenfold.models import build_network
    from tenfold.recipe import ModelSection

    network = build_network(ModelSection(name=name), size=SIZE, classes=CLASSES, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        network.save(path)
        return path.read_bytes()


def _seeds() -> list[File]:
    return [File("model.keras", _network(name)) for name in ("lab-1", "lab-2")]


def _mutate(rng: Random, seeds: Sequence[File]) -> File:
    raw = rng.choice(seeds).content
    if rng.random() < 0.15:
        return File("model.keras", damaged(rng, raw, [seed.content for seed in seeds]))
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    match rng.randrange(10):
        case 0:
            files[
                rng.choice(
                    ("assets/x.txt", "../x", "/tmp/x", "a/b", "model.weights.npz", "x" * 300)
                )
            ] = b"x"
        case 1:
            del files[rng.choice(list(files))]
        case 2:
            files["metadata.json"] = damaged(rng, files["metadata.json"])
        case 3 | 4 | 5:
            files["model.weights.h5"] = _damaged_weights(rng, files["model.weights.h5"])
        case 6:
            files["config.json"] = damaged(rng, files["config.json"])
        case _:
            config = json.loads(files["config.json"])
            for _ in range(rng.choice((1, 1, 2))):
                config = _damaged_config(rng, config)
            files["config.json"] = json.dumps(config).encode()
    return File("model.keras", zipped(files, zipfile.ZIP_STORED))


def _damaged_weights(rng: Random, raw: bytes) -> bytes:
    """Damage to the structure, which lies before and between the numbers."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 2, 5, 20))):
        marks = (b"SNOD", b"TREE", b"HEAP", b"OHDR", b"\x89HDF", b"name", b"\1\0\1\0", b"\0\x08\0")
        at = data.find(rng.choice(marks), rng.randrange(len(data)))
        at = rng.randrange(min(len(data), 4096)) if at < 0 else at + rng.randrange(128)
        if at + 8 < len(data):
            width = rng.choice((1, 2, 4, 8))
            data[at : at + width] = (rng.choice(NUMBERS) % 256**width).to_bytes(width, "little")
    return damaged(rng, bytes(data)) if rng.random() < 0.2 else bytes(data)


def _damaged_config(rng: Random, config: Any) -> Any:
    if rng.random() < 0.3:
        return damaged_value(rng, config)
    found: list[tuple[dict[str, Any], str]] = []

    def visit(value: Any) -> None:
        if isinstance(value, dict):
            found.extend((value, key) for key in value)
            for inner in value.values():
                visit(inner)
        elif isinstance(value, list):
            for inner in value:
                visit(inner)

    visit(config)
    holder, key = rng.choice(found)
    if rng.random() < 0.5:
        key = rng.choice(list(_SWAPS))
        holder = rng.choice([place for place, name in found if name == key] or [holder])
        holder[key] = rng.choice(_SWAPS[key])
    elif isinstance(holder[key], int | list):
        holder[key] = rng.choice(
            (rng.choice(NUMBERS), [rng.choice(NUMBERS)] * rng.choice((1, 2, 4)))
        )
    else:
        holder[key] = rng.choice((*TEXTS, *NUMBERS, None, [], {}, True))
    return config


def _read(file: File, folder: Path) -> None:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    import keras

    from tenfold.models.predict import load_network

    path = folder / file.name
    path.write_bytes(file.content)
    try:
        load_network(path, size=SIZE, classes=CLASSES)
    finally:
        keras.backend.clear_session(free_memory=False)


READERS = (Reader("model.keras", _seeds, _mutate, _read, 0.25),)
