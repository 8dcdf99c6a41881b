"""LiteRT and SavedModel against stock Keras, and what an export may replace."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tenfold.errors import OutputError, RunError
from tenfold.serving.export.check import Answers, Check, softmax
from tenfold.serving.export.facts import Facts
from tenfold.serving.export.litert import load_litert, write_litert
from tenfold.serving.export.savedmodel import load_savedmodel, write_savedmodel
from tenfold.serving.export.write import FORMATS, Format, refuse_foreign, write_checked

from ..networks import CLASSES, by_keras, facts_of, network_of, pixels_of

SIZE = 9
PIXELS = pixels_of(SIZE, 30)


@pytest.fixture(scope="module")
def trained_in_bf16() -> tuple[keras.Model, keras.Model, Facts]:
    """A network of every hard part, its twin in float32, and its facts."""
    section = {"name": "lab-2", "conv_activation": "selu"}
    network, twin = network_of(SIZE, "bf16", **section), network_of(SIZE, **section)
    twin.set_weights(network.get_weights())
    return network, twin, facts_of(SIZE)


def test_litert_equals_stock_keras_and_names_its_classes(
    trained_in_bf16: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network, twin, facts = trained_in_bf16
    path = tmp_path / "model.tflite"
    write_litert(network, facts, path)
    predict = load_litert(path, threads=1)
    for pixels in (PIXELS, PIXELS[:1], PIXELS):
        np.testing.assert_allclose(predict(pixels), by_keras(twin, facts, pixels), atol=2e-6)
    with zipfile.ZipFile(path) as archive:
        told = json.loads(archive.read("tenfold.json"))
        assert archive.read("labels.txt").decode().splitlines() == list(CLASSES)
    assert json.loads(told["class_names"]) == list(CLASSES)
    assert told["recipe"] == 'name = "tested"\n'
    signatures = Interpreter(str(path)).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["pixels"], "outputs": ["probabilities"]}}
    refuse_foreign(path, "litert")  # may be replaced
    assert capfd.readouterr().err == ""


def test_int8_is_near_and_finely_graded(
    trained_in_bf16: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network, twin, facts = trained_in_bf16
    path = tmp_path / "model.tflite"
    write_litert(network, facts, path, representative=[PIXELS[i : i + 1] for i in range(30)])
    found = load_litert(path, threads=1)(PIXELS)
    expected = by_keras(twin, facts, PIXELS)
    assert np.abs(found - expected).max() < 0.1
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).sum() >= 27
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    steps = found * 256  # an int8 softmax would give whole ones
    assert (np.abs(steps - np.round(steps)) > 1e-3).mean() > 0.5
    interpreter = Interpreter(str(path))
    [given], [asked] = interpreter.get_input_details(), interpreter.get_output_details()
    assert (given["dtype"], asked["dtype"]) == (np.uint8, np.float32)
    kernels = [t for t in interpreter.get_tensor_details() if list(t["shape"][1:3]) == [5, 5]]
    assert [tensor["dtype"] for tensor in kernels] == [np.int8, np.int8]
    assert capfd.readouterr().err == ""


def test_a_savedmodel_equals_stock_keras_and_holds_each_weight_once(
    trained_in_bf16: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network, twin, facts = trained_in_bf16
    path = tmp_path / "saved"
    write_savedmodel(network, facts, path)
    found = load_savedmodel(path)(PIXELS)
    np.testing.assert_allclose(found, by_keras(twin, facts, PIXELS), atol=2e-6)
    told = json.loads((path / "assets" / "tenfold.json").read_text("utf-8"))
    assert json.loads(told["class_names"]) == list(CLASSES)
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    assert signature.structured_input_signature[1] == {
        "pixels": tf.TensorSpec((None, SIZE, SIZE, 3), tf.uint8, name="pixels")
    }
    weights = sum(v.numpy().nbytes for v in twin.weights if v.dtype == "float32")
    assert (path / "variables" / "variables.data-00000-of-00001").stat().st_size < 1.1 * weights
    assert capfd.readouterr().err == ""

    (path / "variables" / "old").touch()
    write_checked(twin, facts, "savedmodel", path, representative=None, check=finding(0.0))
    assert not (path / "variables" / "old").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["saved"]


def finding(difference: float) -> Any:
    """A check that finds an export to differ by that much."""
    both = Answers(accuracy=None, latency=1.0, pictures_per_second=1.0, bytes=1)
    return lambda *_: Check(
        pictures=1,
        keras=both,
        export=both,
        largest_difference=difference,
        tolerance=1e-4,
        same_class=1,
    )


@pytest.mark.parametrize("difference", [2e-4, np.inf, np.nan])
def test_an_export_that_differs_leaves_no_file_and_no_earlier_one_harmed(
    small: Any, tmp_path: Path, difference: float
) -> None:
    path = tmp_path / "deep" / "model.onnx"

    def write(difference: float) -> None:
        write_checked(*small, "onnx", path, representative=None, check=finding(difference))

    with pytest.raises(RunError, match=r"differs from the model by up to .*nothing was written"):
        write(difference)
    assert list(path.parent.iterdir()) == []
    write(1e-5)
    before = path.read_bytes()
    other = replace(small[1], temperature=9.0)
    with pytest.raises(RunError):
        write_checked(small[0], other, "onnx", path, representative=None, check=finding(difference))
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["model.onnx"]


def _foreign(folder: Path) -> Iterator[Path]:
    (folder / "file").write_text("mine")
    yield folder / "file"
    (folder / "empty").write_text("")
    yield folder / "empty"
    (folder / "folder").mkdir()
    yield folder / "folder"
    (folder / "saved" / "assets").mkdir(parents=True)
    (folder / "saved" / "assets" / "tenfold.json").write_text("{}")
    (folder / "saved" / "thesis.txt").write_text("mine")
    yield folder / "saved"
    with zipfile.ZipFile(folder / "pictures.zip", "w") as archive:
        archive.writestr("a.png", "")
    yield folder / "pictures.zip"
    (folder / "lost").symlink_to(folder / "nowhere")
    yield folder / "lost"


@pytest.mark.parametrize("format_", FORMATS)
def test_nothing_but_an_earlier_export_is_replaced(tmp_path: Path, format_: Format) -> None:
    refuse_foreign(tmp_path / "new", format_)
    for path in _foreign(tmp_path):
        with pytest.raises(OutputError, match=f"{path.name}: what is there is no {format_} export"):
            refuse_foreign(path, format_)


def test_softmax_takes_logits_of_any_size() -> None:
    found = softmax(np.array([[1e30, 0.0], [-1e30, -1e30]], np.float32), 0.5)
    np.testing.assert_array_equal(found, [[1, 0], [0.5, 0.5]])
