"""Model files that would have Keras do something else than load a network."""

from __future__ import annotations

import io
import json
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from tenfold.errors import RunError
from tenfold.models import build_network
from tenfold.models.model_file import UnsafeModelError, check_model_file
from tenfold.models.predict import load_network
from tenfold.recipe import ModelSection

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The members of a good model file."""
    network = build_network(ModelSection(name="lab-2"), size=8, classes=3, seed=1)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    network.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., keras.Model]:
    """Loads a file of these members."""

    def load(files: Files, method: int = zipfile.ZIP_STORED) -> keras.Model:
        with zipfile.ZipFile(tmp_path / "model.keras", "w", method) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return load_network(tmp_path / "model.keras", size=8, classes=3)

    return load


def test_a_sound_file_is_loaded_with_its_weights(load: Callable[..., Any], sound: Files) -> None:
    weights = load(sound).get_weights()
    with h5py.File(io.BytesIO(sound["model.weights.h5"])) as file:
        np.testing.assert_array_equal(weights[0], file["layers/conv2d/vars/0"])


def changed(sound: Files, change: Callable[[dict[str, Any]], None]) -> Files:
    config = json.loads(sound["config.json"])
    change(config)
    return {**sound, "config.json": json.dumps(config).encode()}


def layers(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {layer["config"]["name"]: layer for layer in config["config"]["layers"]}


# --- Descriptions that ask for something else ----------------------------------------------------

FUNCTION = {"module": "builtins", "class_name": "function", "config": "eval"}
FOREIGN = [
    (
        "Lambda",
        "keras.layers",
        {"function": {"class_name": "__lambda__", "config": {"value": "4w"}}},
    ),
    ("TFSMLayer", "keras.layers", {"filepath": "saved"}),
    ("TorchModuleWrapper", "keras.layers", {"module": "x"}),
    ("StringLookup", "keras.layers", {"vocabulary": "/etc/passwd"}),
    ("TextVectorization", "keras.layers", {"vocabulary": "/etc/passwd"}),
    ("Sequential", "keras", {"layers": []}),
    ("Functional", "keras.src.models.functional", {}),
    ("system", "os", {}),
    ("Popen", "subprocess", {}),
    ("get_file", "keras.utils", {"origin": "http://127.0.0.1:9/x"}),
    ("load_model", "keras.saving", {"filepath": "x.keras"}),
    ("Conv2D", "tests.foreign", {}),
    ("Conv2D", None, {}),
    ("Conv2D", ["keras.layers"], {}),
    (["Conv2D"], "keras.layers", {}),
    ("__numpy__", None, {"value": [1], "dtype": "O"}),
    ("__class__", "keras.layers", {}),
]  # fmt: skip


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keras is not even asked."""

    def fail(*_: object, **__: object) -> None:
        pytest.fail("Keras was given the file")

    monkeypatch.setattr(keras.models, "load_model", fail)
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", fail)
    return


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(("name", "module", "config"), FOREIGN)
def test_a_layer_that_is_not_plain_is_refused_by_name(
    load: Callable[..., Any], sound: Files, name: Any, module: Any, config: dict[str, Any]
) -> None:
    def change(whole: dict[str, Any]) -> None:
        layers(whole)["conv_2"].update(class_name=name, module=module, config=config)

    message = r"cannot be loaded \(it asks for .*train it again"
    with pytest.raises(RunError, match=message) as caught:
        load(changed(sound, change))
    assert str(name) in str(caught.value)


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    "value",
    [FUNCTION, {"class_name": "__lambda__", "config": {"value": "x"}}, [[{"module": "os"}]],
     {"a": {"class_name": "Orthogonal", "module": "keras.foreign"}}],
)  # fmt: skip
@pytest.mark.parametrize("key", ["activation", "kernel_initializer", "dtype", "anything"])
def test_an_object_anywhere_in_a_layer_is_refused(
    load: Callable[..., Any], sound: Files, key: str, value: Any
) -> None:
    def change(whole: dict[str, Any]) -> None:
        layers(whole)["dense_1"]["config"][key] = value

    with pytest.raises(RunError, match="it asks for"):
        load(changed(sound, change))


def test_a_name_that_somebody_registered_is_refused(load: Callable[..., Any], sound: Files) -> None:
    registered = dict(keras.saving.get_custom_objects())

    @keras.saving.register_keras_serializable("foreign", "Evil")
    class Evil(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, **_: object) -> None:
            pytest.fail("made what the file asked for")

    def change(whole: dict[str, Any]) -> None:
        layers(whole)["conv_2"]["registered_name"] = "foreign>Evil"

    try:
        with pytest.raises(RunError, match="it asks for 'foreign>Evil'"):
            load(changed(sound, change))
    finally:
        keras.saving.get_custom_objects().clear()
        keras.saving.get_custom_objects().update(registered)


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b"[]", b"null", b'{"class_name": "Functional"}', b"{", b"\xff",
     b'{"module": "keras", "class_name": "Functional", "config": '
     + b"[" + b"0," * 200_000 + b"0]}"],
    ids=["deep", "list", "null", "no module", "torn", "bytes", "long"],
)  # fmt: skip
def test_a_description_of_no_network_is_refused(
    load: Callable[..., Any], sound: Files, content: bytes
) -> None:
    with pytest.raises(RunError, match="cannot be loaded"):
        load({**sound, "config.json": content})


def test_a_description_without_its_parts_is_refused(load: Callable[..., Any], sound: Files) -> None:
    def change(whole: dict[str, Any]) -> None:
        whole["config"] = {"name": "x"}

    with pytest.raises(RunError, match="cannot be loaded"):
        load(changed(sound, change))


# --- Descriptions of more than there is ----------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "key", "value"),
    [
        ("dense_1", "units", 10**8), ("conv_2", "filters", 10**6),
        ("conv_2", "kernel_size", [3000, 3000]),
        ("dense_1", "units", 2**62), ("dense_1", "units", 10**30),
    ],
)  # fmt: skip
def test_weights_that_are_not_there_take_no_memory(
    load: Callable[..., Any], sound: Files, layer: str, key: str, value: Any
) -> None:
    def change(whole: dict[str, Any]) -> None:
        layers(whole)[layer]["config"][key] = value

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RunError, match="cannot be loaded"):
        load(changed(sound, change))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < (200 << 20 if sys.platform == "darwin" else 200 << 10)


def test_a_layer_that_gives_too_much_for_a_picture_is_refused(tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.ZeroPadding2D(10_000)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(inputs, keras.layers.Softmax(name="probabilities")(x)).save(tmp_path / "m.keras")
    with pytest.raises(UnsafeModelError, match=r"gives \(None, 20008, 20008, 3\) numbers"):
        check_model_file(tmp_path / "m.keras")


def test_a_network_that_was_refused_leaves_nothing_behind(
    load: Callable[..., Any], sound: Files
) -> None:
    """Keras would fill its weights along with those of the next network."""

    def change(whole: dict[str, Any]) -> None:
        layers(whole)["dense_1"]["config"]["units"] = 10**8

    with pytest.raises(RunError):
        load(changed(sound, change))
    network = build_network(ModelSection(name="lab-1"), size=8, classes=3, seed=1)
    assert network.count_params() < 10**6


# --- Members -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("name", ["assets/x.txt", "../x", "/tmp/x", "model.weights.npz", "x.h5"])
def test_a_further_member_is_refused_and_not_unpacked(
    load: Callable[..., Any], sound: Files, name: str, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=f"it holds '{name}'"):
        load({**sound, name: b"x"})
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


@pytest.mark.usefixtures("unloaded")
def test_a_missing_or_compressed_member_is_refused(load: Callable[..., Any], sound: Files) -> None:
    for name in sound:
        with pytest.raises(RunError, match="it lacks a part"):
            load({other: content for other, content in sound.items() if other != name})
    with pytest.raises(RunError, match="is compressed"):
        load(sound, zipfile.ZIP_DEFLATED)


@pytest.mark.usefixtures("unloaded")
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "model.keras")
    with pytest.raises(RunError, match="it is no regular file"):
        load_network(tmp_path / "model.keras", size=8, classes=3)


# --- Weights -------------------------------------------------------------------------------------


def with_weights(sound: Files, change: Callable[[h5py.File], None]) -> Files:
    buffer = io.BytesIO(sound["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file)
    return {**sound, "model.weights.h5": buffer.getvalue()}


KERNEL = "layers/conv2d/vars/0"
SHAPE = (5, 5, 3, 32)


def external_link(file: h5py.File) -> None:
    del file[KERNEL]
    file[KERNEL] = h5py.ExternalLink("secret.h5", "/x")


def soft_link(file: h5py.File) -> None:
    del file[KERNEL]
    file[KERNEL] = h5py.SoftLink("/layers/conv2d_1/vars/0")


def virtual(file: h5py.File) -> None:
    del file[KERNEL]
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[...] = h5py.VirtualSource("secret.h5", "x", SHAPE)
    file.create_virtual_dataset(KERNEL, layout)


def external_data(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, SHAPE, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def compressed(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, SHAPE, "f4", compression="gzip", fillvalue=1.0)


def huge(file: h5py.File) -> None:
    file.create_dataset("layers/huge", (1 << 40,), "f4", chunks=(1 << 20,))


def never_written(file: h5py.File) -> None:
    file.create_dataset("layers/huge", (1 << 30,), "f4")


def text(file: h5py.File) -> None:
    file["layers/text"] = ["a", "b"]


def references(file: h5py.File) -> None:
    file.create_dataset("layers/refs", (1,), h5py.ref_dtype)


def record(file: h5py.File) -> None:
    file["layers/record"] = np.zeros(2, [("a", "f4")])


def kind(file: h5py.File) -> None:
    file["layers/kind"] = np.dtype("f4")


def circle(file: h5py.File) -> None:
    file["layers/conv2d/again"] = file["layers"]


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    "change",
    [external_link, soft_link, virtual, external_data, compressed, huge, never_written, text,
     references, record, kind, circle],
)  # fmt: skip
def test_weights_that_are_not_numbers_in_the_file_are_refused(
    load: Callable[..., Any], sound: Files, change: Callable[[h5py.File], None]
) -> None:
    with pytest.raises(RunError, match=r"cannot be loaded \(its weights"):
        load(with_weights(sound, change))


def test_another_file_is_never_read(
    load: Callable[..., Any], sound: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the link leads to fits, and Keras's own refusal is not what stands in the way."""
    monkeypatch.chdir(tmp_path)
    with h5py.File("secret.h5", "w") as secret:
        secret["x"] = np.full(SHAPE, 7, np.float32)
    for change in (external_link, virtual):
        with pytest.raises(RunError, match="its weights"):
            load(with_weights(sound, change))
