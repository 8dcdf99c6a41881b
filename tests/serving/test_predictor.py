"""Predictions without TensorFlow, and model files that must not be trusted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tenfold.errors import RunError
from tenfold.serving import onnx_cost, onnx_file
from tenfold.serving.predictor import Predictor

from .networks import CLASSES, by_keras, model_of, pixels_of


@pytest.fixture(scope="session")
def model(small: Any) -> onnx.ModelProto:
    return model_of(*small)


@pytest.fixture(scope="session")
def path(model: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_probabilities_come_whatever_the_number_of_pictures(small: Any, path: Path) -> None:
    pixels = pixels_of(6, 4000)  # more than are computed at a time
    predictor = Predictor(path)
    expected = by_keras(*small, pixels)
    for part in (slice(None), slice(1), slice(0), slice(None, None, -3)):
        found = predictor.predict(pixels[part])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected[part], rtol=0, atol=2e-6)


def test_it_says_what_it_predicts(path: Path) -> None:
    predictor = Predictor(path, threads=1)
    assert predictor.path == path
    assert predictor.class_names == CLASSES
    assert predictor.size == 6
    assert predictor.facts["recipe"] == 'name = "tested"\n'
    assert dict(predictor.facts) == {e.key: e.value for e in onnx.load(path).metadata_props}


def test_several_threads_may_ask_at_once(path: Path) -> None:
    predictor, pixels = Predictor(path), pixels_of(6, 64)
    expected = predictor.predict(pixels)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: predictor.predict(pixels), range(32)):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 6, 6, 3), np.float32),
        np.zeros((2, 7, 6, 3), np.uint8),
        np.zeros((2, 6, 6), np.uint8),
        np.zeros((6, 6, 3), np.uint8),
    ],
)
def test_other_shapes_and_types_are_refused_with_the_rule(path: Path, pixels: Any) -> None:
    with pytest.raises(ValueError, match=r"uint8 of shape \(N, 6, 6, 3\). Received: "):
        Predictor(path).predict(pixels)


def test_nothing_heavy_is_imported(path: Path) -> None:
    heavy = ["tensorflow", "keras", "scipy", "sklearn", "matplotlib", "onnx", "pydantic", "pandas"]
    program = (
        "import sys, pathlib, numpy; from tenfold.serving.predictor import Predictor;"
        "Predictor(pathlib.Path(sys.argv[1])).predict(numpy.zeros((1, 6, 6, 3), numpy.uint8));"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert (process.stdout, process.stderr) == ("[]\n", "")


def with_weights_elsewhere(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[2]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def with_weights_elsewhere_hidden(model: onnx.ModelProto) -> None:
    model.graph.initializer[2].external_data.add(key="location", value="passwd")


def with_an_operator_of_others(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.example"


def with_operators_of_others(model: onnx.ModelProto) -> None:
    model.opset_import.add(domain="com.microsoft", version=1)


def with_a_function(model: onnx.ModelProto) -> None:
    opset = helper.make_opsetid("", 17)
    model.functions.add().CopyFrom(
        helper.make_function(
            "mine", "F", ["x"], ["y"], [helper.make_node("Relu", "x", "y")], [opset]
        )
    )


def with_a_loop(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Loop"


def with_a_graph_inside(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("body", model.graph))


def with_a_tensor_inside(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(2), "x")
    model.graph.node[0].attribute.append(helper.make_attribute("value", tensor))


def with_a_vast_margin(model: onnx.ModelProto) -> None:
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    pads = next(attribute for attribute in conv.attribute if attribute.name == "pads")
    pads.ints[:] = [2**31] * 4


def with_a_large_sum(model: onnx.ModelProto) -> None:
    """Two small weights that are added to a large value, which nothing else needs."""
    for name, shape in (("row", (1, 20_000)), ("column", (20_000, 1))):
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))
    model.graph.node.append(helper.make_node("Add", ["row", "column"], ["sum"]))


def with_a_large_window(model: onnx.ModelProto) -> None:
    planes = next(node for node in model.graph.node if node.op_type == "Conv").output[0]
    window = {"kernel_shape": [1000, 1000], "pads": [1000] * 4}
    model.graph.node.append(helper.make_node("AveragePool", [planes], ["mean"], **window))


def with_weights_that_are_not_there(model: onnx.ModelProto) -> None:
    model.graph.initializer.add(name="more", data_type=TensorProto.FLOAT, dims=[1 << 30])


def with_many_parts(model: onnx.ModelProto) -> None:
    for _ in range(100_001):
        model.graph.value_info.add()


def with_sparse_weights(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def without_facts(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def without_format(model: onnx.ModelProto) -> None:
    helper.set_model_props(model, {"class_names": '["a", "b"]', "size": "6"})


def saying(name: str, value: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        next(entry for entry in model.metadata_props if entry.key == name).value = value

    return change


def with_another_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def with_two_outputs(model: onnx.ModelProto) -> None:
    model.graph.output.add().CopyFrom(helper.make_tensor_value_info("logits", 1, ["N", 5]))


def without_a_graph(model: onnx.ModelProto) -> None:
    model.ClearField("graph")


def with_a_node_less(model: onnx.ModelProto) -> None:
    del model.graph.node[3]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_weights_elsewhere, "its weights lie in another file"),
        (with_weights_elsewhere_hidden, "its weights lie in another file"),
        (with_an_operator_of_others, "operators that are not ONNX's own"),
        (with_operators_of_others, "operators that are not ONNX's own"),
        (with_a_function, "functions of its own"),
        (with_a_loop, "an operator 'Loop', which no export of Tenfold has"),
        (with_a_graph_inside, "graphs or tensors inside of operators"),
        (with_a_tensor_inside, "graphs or tensors inside of operators"),
        (with_a_vast_margin, "a size that no network has"),
        (with_sparse_weights, "sparse weights"),
        (without_facts, "does not say what its classes are"),
        (without_format, "does not say what its classes are"),
        (saying("class_names", "[1, 2]"), "no list of texts"),
        (saying("class_names", "["), "Expecting value"),
        (saying("class_names", '["a", "b"]'), "not a graph from pictures of 6x6 to .* 2 classes"),
        (saying("size", "7"), "not a graph from pictures of 7x7"),
        (saying("size", "9"), "its Gemm does not fit its inputs"),
        (saying("size", "100000"), "more memory or time than a network does"),
        (with_a_large_sum, "more memory or time than a network does"),
        (with_a_large_window, "more memory or time than a network does"),
        (with_weights_that_are_not_there, "fewer weights than it says"),
        (with_many_parts, "more parts than any model"),
        (saying("size", "true"), "its pictures have no size"),
        (with_another_input, "made by Tenfold: "),
        (with_two_outputs, "made by Tenfold: "),
        (without_a_graph, "it is no ONNX model"),
        (with_a_node_less, "made by Tenfold: "),
    ],
)
def test_a_file_that_is_not_ours_is_refused_in_one_line(
    model: onnx.ModelProto, tmp_path: Path, change: Callable[[onnx.ModelProto], None], reason: str
) -> None:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    change(changed)
    (tmp_path / "model.onnx").write_bytes(changed.SerializeToString())
    with pytest.raises(RunError, match=rf"model\.onnx is damaged or was not .*{reason}"):
        Predictor(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "content", [b"", b"\x00", b"PK\x03\x04", b"\x3a\xff\xff\xff\x7f", b"x" * 999]
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(RunError, match=r"model\.onnx is damaged"):
        Predictor(tmp_path / "model.onnx")


def test_a_file_that_is_cut_off_anywhere_is_refused(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    for length in np.linspace(0, len(content) - 1, 50).astype(int):
        (tmp_path / "model.onnx").write_bytes(content[:length])
        with pytest.raises(RunError, match=r"model\.onnx is damaged"):
            Predictor(tmp_path / "model.onnx")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"model .*gone.onnx cannot be read"):
        Predictor(tmp_path / "gone.onnx")
    with pytest.raises(RunError, match="cannot be read"):
        Predictor(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")
    with pytest.raises(RunError, match=r"cannot be read \(it is no regular file\)"):
        Predictor(tmp_path / "model.onnx")


def test_a_model_that_fails_while_it_computes_says_so_in_one_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Session:
        def run(self, *_: object) -> None:
            raise RuntimeError("no memory\nat line 7")

    predictor = Predictor(path)
    monkeypatch.setattr(predictor, "_session", Session())
    with pytest.raises(RunError, match=r"model\.onnx cannot be computed: no memory; export it"):
        predictor.predict(pixels_of(6, 1))


@pytest.mark.parametrize(
    ("kind", "inputs", "attributes"),
    [
        ("Conv", [(1, 6, 9, 7), (4, 3, 3, 2)], {"group": 2, "strides": [2, 1]}),
        ("Conv", [(1, 2, 9, 9), (5, 2, 3, 3)], {"dilations": [2, 3]}),
        ("Conv", [(1, 2, 9, 9), (5, 2, 3, 3)], {"pads": [1, 0, 2, 1]}),
        ("MaxPool", [(1, 2, 9, 8)], {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}),
        ("AveragePool", [(1, 2, 9, 8)], {"kernel_shape": [2, 3]}),
        ("GlobalAveragePool", [(1, 5, 4, 3)], {}),
        ("Gemm", [(1, 4), (6, 4)], {"transB": 1}),
        ("Gemm", [(1, 4), (4, 6), (6,)], {}),
        ("Concat", [(1, 2, 3), (1, 5, 3), (1, 1, 3)], {"axis": 1}),
        ("Transpose", [(1, 2, 3)], {"perm": [2, 0, 1]}),
        ("Transpose", [(1, 2, 3)], {}),
        ("Flatten", [(2, 3, 4, 5)], {"axis": 2}),
        ("Add", [(1, 3, 1, 5), (4, 1)], {}),
        ("Clip", [(1, 3)], {}),
    ],
)  # fmt: skip
def test_shapes_are_those_that_onnx_infers(
    kind: str, inputs: list[tuple[int, ...]], attributes: dict[str, Any]
) -> None:
    names = [f"x{place}" for place in range(len(inputs))]
    node = helper.make_node(kind, names, ["y"], **attributes)
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(names, inputs, strict=True)
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    inferred = onnx.shape_inference.infer_shapes(
        helper.make_model(
            helper.make_graph([node], "g", tensors, [output]),
            opset_imports=[helper.make_opsetid("", 17)],
        ),
        strict_mode=True,
    )
    expected = [side.dim_value for side in inferred.graph.output[0].type.tensor_type.shape.dim]
    read = onnx_cost._Node.read(memoryview(node.SerializeToString()))
    assert list(read.result(inputs)[0]) == expected


def test_every_operator_has_a_rule() -> None:
    assert set(onnx_cost._RULES) == onnx_file.OPERATORS


def test_the_cost_is_that_of_the_layers(model: onnx.ModelProto) -> None:
    """Network 1 for pictures of 6x6, by hand."""
    picture, planes, half = 6 * 6 * 3, 6 * 6 * 32, 3 * 3 * 32
    dense, classes = 64, len(CLASSES)
    found = onnx_cost.reckon(model.SerializeToString(), 6)
    # Turned, cast, multiplied and added; convolution and ReLU; pooled and flattened; dense and
    # ReLU; logits, divided, softmax and named.
    numbers = 5 * picture + 2 * planes + 2 * half + 2 * dense + 4 * classes
    assert found.numbers == numbers
    products = planes * 5 * 5 * 3 + half * dense + dense * classes
    assert products <= found.work <= products + 5 * numbers


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_are_refused_or_computed(
    model: onnx.ModelProto,
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[float, int]],
) -> None:
    content = bytearray(model.SerializeToString())
    for where, value in changes:
        content[min(int(where * len(content)), len(content) - 1)] = value
    path = tmp_path_factory.mktemp("changed") / "model.onnx"
    path.write_bytes(content)
    with suppress(RunError):
        predictor = Predictor(path)
        shape = (2, predictor.size, predictor.size, 3)
        assert len(predictor.predict(np.zeros(shape, np.uint8))) == 2


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for read in (onnx_file.check, onnx_file.metadata):
        with suppress(ValueError):
            read(content)
