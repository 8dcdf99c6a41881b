"""Small networks with weights that are not trivial, and what stock Keras makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import onnx
from numpy.typing import NDArray

from tenfold.models import build_network
from tenfold.recipe import ModelSection
from tenfold.serving.export.facts import Facts
from tenfold.serving.export.onnx import serialize

CLASSES = ("cat", "dog", "Ψ \N{PILE OF POO}", "owl", "elk")

Build = Callable[..., tuple[keras.Model, Facts]]


def facts_of(size: int, temperature: float = 1.7) -> Facts:
    return Facts(
        class_names=CLASSES,
        size=size,
        offset=(100.0, 110.0, 120.0),
        scale=(50.0, 60.0, 70.0),
        temperature=temperature,
        recipe='name = "tested"\n',
        version="9.9",
        test_accuracy=0.625,
    )


def stirred(network: keras.Model) -> keras.Model:
    """Biases, and what batch normalization knows, away from what hides mistakes."""
    random = np.random.default_rng(0)
    for variable in network.weights:
        if variable.dtype == "float32" and np.std(variable) == 0:
            variable.assign(variable + 0.2 * np.abs(random.normal(size=variable.shape)))
    return network


def network_of(size: int, precision: Any = "float32", **section: Any) -> keras.Model:
    return stirred(
        build_network(
            ModelSection(**section),
            size=size,
            classes=len(CLASSES),
            seed=1,
            precision=precision,
        )
    )


def settled(network: keras.Model, facts: Facts) -> keras.Model:
    """Batch normalization that knows what it gets, without which deep networks end in infinity."""
    norms = [v for v in network.layers if isinstance(v, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    network(normalized(facts, pixels_of(facts.size)), training=True)
    for norm in norms:
        norm.momentum = 0.9
    return network


def normalized(facts: Facts, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a network takes."""
    inputs = (pixels - np.array(facts.offset)) / np.array(facts.scale)
    return inputs.astype(np.float32)


def pixels_of(size: int, count: int = 40) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), np.uint8)


def by_keras(network: keras.Model, facts: Facts, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Calibrated probabilities by stock Keras, the temperature put to its float32 logits."""
    part = keras.Model(network.inputs[0], network.get_layer("logits").output)
    logits = np.asarray(part(normalized(facts, pixels), training=False), np.float64)
    exponentials = np.exp(logits / facts.temperature)
    result: NDArray[np.float32] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def model_of(network: keras.Model, facts: Facts) -> onnx.ModelProto:
    """The ONNX file, read by ONNX's own reader."""
    return onnx.load_model_from_string(b"".join(serialize(network, facts)))
