"""The ONNX file against stock Keras, by ONNX Runtime and by ONNX's own checker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest

from tenfold.models import architectures
from tenfold.serving.export.onnx import write_onnx
from tenfold.serving.onnx_file import OPERATORS
from tenfold.serving.predictor import Predictor

from ..networks import (
    CLASSES,
    by_keras,
    facts_of,
    model_of,
    network_of,
    pixels_of,
    settled,
    stirred,
)


def assert_equal(network: keras.Model, size: int, folder: Path, atol: float = 2e-6) -> None:
    facts, pixels, path = facts_of(size), pixels_of(size), folder / "model.onnx"
    write_onnx(network, facts, path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    found = Predictor(path).predict(pixels)
    expected = by_keras(network, facts, pixels)
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
    assert expected.max() < 0.999  # else equality would say little
    assert expected.std() > 0.005


@pytest.mark.parametrize(
    ("size", "section"),
    [
        (8, {"name": "lab-1"}),
        (11, {"name": "lab-1"}),
        (8, {"name": "lab-2"}),
        (9, {"name": "lab-2", "conv_activation": "selu", "dropout": 0.9}),
        (10, {"name": "lab-2", "batch_norm": "frozen"}),
    ],
)
def test_probabilities_equal_those_of_stock_keras(
    size: int, section: dict[str, Any], tmp_path: Path
) -> None:
    assert_equal(network_of(size, **section), size, tmp_path)


@pytest.mark.parametrize("name", architectures())
def test_every_network_can_be_written(name: str, tmp_path: Path) -> None:
    size = 9  # odd, so that halving it rounds
    assert_equal(settled(network_of(size, name=name), facts_of(size)), size, tmp_path, atol=1e-5)


def test_a_network_that_trained_in_bf16_computes_in_float32(tmp_path: Path) -> None:
    network, facts, pixels = network_of(8, "bf16"), facts_of(8), pixels_of(8)
    twin = network_of(8)
    twin.set_weights(network.get_weights())
    write_onnx(network, facts, tmp_path / "model.onnx")
    found = Predictor(tmp_path / "model.onnx").predict(pixels)
    np.testing.assert_allclose(found, by_keras(twin, facts, pixels), atol=2e-6)
    assert np.abs(found - by_keras(network, facts, pixels)).max() > 1e-4


def with_head(x: Any) -> Any:
    x = keras.layers.Dense(len(CLASSES), name="logits")(x)
    return keras.layers.Softmax(name="probabilities")(x)


def test_layers_in_other_shapes_than_the_labs_are_written(tmp_path: Path) -> None:
    layers = keras.layers
    x = inputs = keras.Input((13, 13, 3))
    x = layers.Conv2D(6, (3, 2), strides=2, padding="same", use_bias=False, activation="tanh")(x)
    x = layers.BatchNormalization(scale=False)(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="sigmoid")(x)
    x = layers.Conv2D(8, 3, dilation_rate=2, padding="same", groups=2)(x)
    x = layers.BatchNormalization(center=False)(x)
    x = layers.AveragePooling2D(3, strides=2, padding="same")(x)
    x = layers.MaxPooling2D(2, strides=1, padding="same")(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(7, use_bias=False, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    assert_equal(stirred(keras.Model(inputs, with_head(x))), 13, tmp_path)


def test_branches_are_added_and_their_channels_put_side_by_side(tmp_path: Path) -> None:
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    left = layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    right = layers.MaxPooling2D(3, strides=2, padding="same")(inputs)
    x = layers.Concatenate()([right, left])
    x = layers.Add()([x, layers.ReLU(0.3)(x), layers.ReLU()(x)])
    rows = [layers.GlobalAveragePooling2D()(x), layers.Dense(3)(layers.Flatten()(x))]
    network = keras.Model(inputs, with_head(layers.Concatenate()(rows)))
    assert_equal(stirred(network), 8, tmp_path)


IMPOSSIBLE = [
    (keras.layers.ReLU(negative_slope=0.1), "lets negatives through"),
    (keras.layers.GlobalAveragePooling2D(keepdims=True), "keeps the dimensions"),
    (lambda x: keras.layers.Concatenate(axis=1)([x, x]), "concatenates no channels"),
    (
        lambda x: keras.layers.Add()([x, keras.layers.MaxPooling2D((4, 1))(x)]),
        "adds tensors of different shapes",
    ),
]


@pytest.mark.parametrize(("layer", "reason"), IMPOSSIBLE)
def test_a_setting_that_cannot_be_written_is_named(layer: Any, reason: str) -> None:
    inputs = keras.Input((4, 4, 3))
    network = keras.Model(inputs, with_head(keras.layers.Flatten()(layer(inputs))))
    with pytest.raises(NotImplementedError, match=reason):
        model_of(network, facts_of(4))


def test_a_layer_that_cannot_be_written_is_named() -> None:
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.UnitNormalization(name="strange")(inputs)
    network = keras.Model(inputs, with_head(keras.layers.Flatten()(x)))
    with pytest.raises(NotImplementedError, match="layer strange is a UnitNormalization"):
        model_of(network, facts_of(4))


def test_the_file_says_what_it_is(small: Any) -> None:
    network, facts = small
    model = model_of(network, facts)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(told["class_names"]) == list(CLASSES)
    assert json.loads(told["size"]) == 6
    assert json.loads(told["temperature"]) == 1.7
    assert json.loads(told["test_accuracy"]) == 0.625
    assert told["recipe"] == 'name = "tested"\n'
    assert told["tenfold_version"] == "9.9"
    [given] = model.graph.input
    assert [side.dim_value for side in given.type.tensor_type.shape.dim[1:]] == [6, 6, 3]


def test_the_predictor_knows_every_operator_that_is_written() -> None:
    for section in ({"name": "lab-1"}, {"name": "lab-2"}, {"batch_norm": "frozen"}):
        graph = model_of(network_of(8, **section), facts_of(8)).graph
        assert {node.op_type for node in graph.node} <= OPERATORS


def test_the_same_network_gives_the_same_bytes(small: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_onnx(*small, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
