"""Muon against the singular value decomposition that it approximates."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tenfold.recipe import OptimizerSection, Recipe
from tenfold.training.muon import Muon
from tenfold.training.optimizers import build_optimizer

RATE = 0.01
MOMENTUM = 0.8
RANDOM = np.random.default_rng(0)


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(6, 3, name="conv"),
            keras.layers.DepthwiseConv2D(3, name="depthwise"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Flatten(),
            keras.layers.Dense(7, name="dense"),
            keras.layers.Dense(5, name="logits"),
        ]
    )


@pytest.fixture(scope="module")
def steps() -> list[dict[str, tuple[np.ndarray, np.ndarray]]]:
    """For each of two steps, by layer and variable: its gradient, and how far it moved."""
    model = network()
    section = OptimizerSection(name="muon", learning_rate=RATE, momentum=MOMENTUM)
    optimizer = build_optimizer(Recipe(optimizer=section), 2)
    found = []
    for _ in range(2):
        variables = model.trainable_variables
        before = [variable.numpy() for variable in variables]
        gradients = [RANDOM.normal(size=v.shape).astype(np.float32) for v in variables]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
        found.append(
            {
                "/".join(variable.path.split("/")[-2:]): (gradient, variable.numpy() - old)
                for variable, gradient, old in zip(variables, gradients, before, strict=True)
            }
        )
    return found


def polar(matrix: np.ndarray) -> np.ndarray:
    """The orthogonal matrix nearest to another: U V^T of its singular value decomposition."""
    u, _, vt = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    return u @ vt


def as_matrix(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, values.shape[-1])


@pytest.mark.parametrize("path", ["conv/kernel", "dense/kernel"])
def test_a_kernel_moves_against_its_gradient_made_orthogonal(steps: Any, path: str) -> None:
    gradient, moved = (as_matrix(values) for values in steps[0][path])
    scale = RATE * 0.2 * np.sqrt(max(moved.shape))  # Liu et al. (2025): as large as AdamW's steps
    # Five iterations bring singular values near 1, not to it.
    singular = np.linalg.svd(moved / scale, compute_uv=False)
    assert 0.6 < singular.min() <= singular.max() < 1.3
    np.testing.assert_allclose(polar(moved), -polar(gradient), atol=1e-3)


@pytest.mark.parametrize("path", ["conv/kernel", "dense/kernel"])
def test_the_direction_is_that_of_nesterovs_momentum(steps: Any, path: str) -> None:
    (first, _), (second, moved) = steps[0][path], steps[1][path]
    momentum = MOMENTUM * first + second
    direction = as_matrix(second + MOMENTUM * momentum)
    np.testing.assert_allclose(polar(as_matrix(moved)), -polar(direction), atol=1e-3)


@pytest.mark.parametrize(
    "path",
    ["logits/kernel", "logits/bias", "conv/bias", "depthwise/kernel", "norm/gamma", "norm/beta"],
)
def test_all_else_moves_as_by_adamw(steps: Any, path: str) -> None:
    gradient, moved = steps[0][path]
    # Adam's first step is the rate against the sign of each gradient.
    np.testing.assert_allclose(moved, -RATE * np.sign(gradient), rtol=1e-2)


def test_muon_survives_being_written_down() -> None:
    written = keras.saving.serialize_keras_object(Muon(0.02, exclude_layers=["logits"]))
    again = keras.saving.deserialize_keras_object(written)
    assert isinstance(again, Muon)
    assert again.exclude_layers == ["logits"]
