"""Optimizers against their papers' formulae, written out in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tenfold.recipe import OptimizerSection, Recipe, ScheduleSection, TrainingSection
from tenfold.training.optimizers import build_optimizer

RATE = 0.01
RANDOM = np.random.default_rng(0)
START = RANDOM.normal(size=(4, 3))
GRADIENTS = RANDOM.normal(size=(3, 4, 3))


def recipe(name: Any, **settings: Any) -> Recipe:
    return Recipe(optimizer=OptimizerSection(name=name, learning_rate=RATE, **settings))


def optimize(of: Recipe, gradients: Any = GRADIENTS, name: str = "kernel") -> np.ndarray:
    """Where a variable ends that starts at START and meets the gradients in turn."""
    variable = keras.Variable(START, dtype="float32", name=name)
    optimizer = build_optimizer(of, len(gradients))
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
    return keras.ops.convert_to_numpy(variable)


def sgd(momentum: float, decay: float) -> np.ndarray:
    """Nesterov's momentum, as Sutskever et al. (2013) write it."""
    w, v = START.copy(), np.zeros_like(START)
    for g in GRADIENTS:
        w = w - RATE * decay * w
        v = momentum * v - RATE * g
        w = w + momentum * v - RATE * g
    return w


def rmsprop(momentum: float, decay: float) -> np.ndarray:
    """Hinton's lecture (2012), with momentum on the scaled gradient."""
    w, v, m = START.copy(), np.zeros_like(START), np.zeros_like(START)
    for g in GRADIENTS:
        w = w - RATE * decay * w
        v = 0.9 * v + 0.1 * g**2
        m = momentum * m + RATE * g / np.sqrt(v)
        w = w - m
    return w


def adamw(momentum: float, decay: float) -> np.ndarray:
    """Algorithm 2 of Loshchilov and Hutter (2019)."""
    w, m, v = START.copy(), np.zeros_like(START), np.zeros_like(START)
    for t, g in enumerate(GRADIENTS, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        step = (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.999**t))
        w = w - RATE * decay * w - RATE * step
    return w


REFERENCES: dict[str, Callable[[float, float], np.ndarray]] = {
    "sgd": sgd,
    "rmsprop": rmsprop,
    "adamw": adamw,
}


@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", REFERENCES)
def test_three_steps_equal_the_formula(name: str, momentum: float, decay: float) -> None:
    got = optimize(recipe(name, momentum=momentum, weight_decay=decay))
    np.testing.assert_allclose(got, REFERENCES[name](momentum, decay), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adamw", "muon"])
@pytest.mark.parametrize("variable", ["bias", "gamma", "beta", "kernel"])
def test_decay_shrinks_kernels_and_nothing_else(optimizer: str, variable: str) -> None:
    still = np.zeros((1, 4, 3))
    got = optimize(recipe(optimizer, weight_decay=0.5), still, variable)
    shrunk = 1 - RATE * 0.5 if variable == "kernel" else 1.0
    np.testing.assert_allclose(got, START * shrunk, rtol=1e-6)


def test_gradients_are_clipped_to_the_norm_that_the_recipe_sets() -> None:
    gradient = GRADIENTS[:1]
    norm = np.linalg.norm(gradient)
    clipped = optimize(recipe("sgd", momentum=0.0, clip_norm=norm / 4), gradient)
    np.testing.assert_allclose(clipped, START - RATE * gradient[0] / 4, rtol=1e-5)
    untouched = optimize(recipe("sgd", momentum=0.0, clip_norm=norm * 4), gradient)
    np.testing.assert_allclose(untouched, START - RATE * gradient[0], rtol=1e-5)


def test_each_step_takes_the_rate_that_the_schedule_gives_it() -> None:
    of = recipe("sgd", momentum=0.0).model_copy(
        update={"schedule": ScheduleSection(name="linear", final=0.0)}
    )
    got = optimize(of)
    factors = np.array([1, 2 / 3, 1 / 3])
    expected = START - RATE * np.tensordot(factors, GRADIENTS, axes=1)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("average", "expected"), [(0.0, False), (0.9, True)])
def test_averages_are_kept_only_where_the_recipe_wants_them(average: float, expected: bool) -> None:
    of = Recipe(training=TrainingSection(average=average))
    assert build_optimizer(of, 1).use_ema is expected
