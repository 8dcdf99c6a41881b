"""The optimizer of `fast`, beside a plain loop over its formulas."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tenfold.recipe import load_recipe
from tenfold.training.muon_sgd import MuonSGD, orthogonalized
from tenfold.training.optimizers import build_optimizer

STEPS = 8
RECIPE = load_recipe(
    "fast",
    ["training.batch_size=10", "optimizer.momentum=0.7", "optimizer.stem_share=0.375"],
)


def variables() -> list[Any]:
    random = np.random.default_rng(0)
    shapes = {
        "whiten/bias": (3,),
        "conv/kernel": (3, 3, 2, 5),
        "norm/beta": (5,),
        "logits/kernel": (5, 4),
    }
    made = []
    for path, shape in shapes.items():
        with keras.name_scope(path.partition("/")[0]):
            value = random.normal(size=shape).astype(np.float32)
            made.append(keras.Variable(value, name=path.rpartition("/")[2]))
    assert [v.path for v in made] == list(shapes)
    return made


def by_hand(values: dict[str, Any], gradients: list[dict[str, Any]]) -> dict[str, Any]:
    """Float64, one step after the other; the orthogonal matrix by singular value decomposition."""
    section, batch = RECIPE.optimizer, RECIPE.training.batch_size
    values = {path: value.astype(float) for path, value in values.items()}
    momentums = {path: np.zeros_like(value) for path, value in values.items()}
    for step, given in enumerate(gradients):
        falling = 1 - step / STEPS
        for path, gradient in given.items():
            w, m = values[path], momentums[path]
            if path == "conv/kernel":
                m[:] = section.momentum * m + gradient
                rows = (gradient + section.momentum * m).reshape(-1, 5).T
                u, _, v = np.linalg.svd(rows, full_matrices=False)
                scaled = w * np.sqrt(5) / np.sqrt((w**2).sum())
                values[path] = scaled - section.learning_rate * falling * (u @ v).T.reshape(w.shape)
                continue
            rate = section.head_rate / 25 if path == "logits/kernel" else section.bias_rate
            share = falling
            if path == "whiten/bias":
                share = max(0, 1 - step / (section.stem_share * STEPS))
            gradient = batch * gradient + section.weight_decay * batch / rate * w
            m[:] = 0.85 * m + gradient
            values[path] = w - share * rate * (gradient + 0.85 * m)
    return values


def test_it_follows_its_formulas() -> None:
    random = np.random.default_rng(1)
    moved = variables()
    start = {v.path: v.numpy() for v in moved}
    optimizer = build_optimizer(RECIPE, STEPS)
    optimizer.build(moved)
    gradients = [
        {path: random.normal(size=value.shape).astype(np.float32) for path, value in start.items()}
        for _ in range(STEPS)
    ]
    for given in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(given[v.path]) for v in moved], moved)
    expected = by_hand(start, gradients)
    for variable in moved:
        # Three iterations come near to the orthogonal matrix, and no nearer.
        tolerance = 0.35 if variable.path == "conv/kernel" else 1e-4
        np.testing.assert_allclose(
            variable.numpy(), expected[variable.path], atol=tolerance, err_msg=variable.path
        )
        assert np.abs(variable.numpy() - start[variable.path]).max() > 3e-3


def test_the_stems_bias_comes_to_rest_before_the_others() -> None:
    moved = variables()
    optimizer = build_optimizer(RECIPE, STEPS)
    optimizer.build(moved)
    distance = []
    for _ in range(STEPS):
        before = moved[0].numpy(), moved[2].numpy()
        optimizer.apply([keras.ops.ones_like(v) for v in moved], moved)
        distance.append([np.abs(moved[0] - before[0]).max(), np.abs(moved[2] - before[1]).max()])
    stem, other = np.array(distance).T
    assert (stem[:3] > 0).all()
    assert (stem[3:] == 0).all()  # three eighths of eight steps
    assert (other > 0).all()


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 6)])
def test_singular_values_come_near_to_one(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    found = keras.ops.convert_to_numpy(orthogonalized(keras.ops.convert_to_tensor(matrix)))
    assert found.shape == shape
    values = np.linalg.svd(found, compute_uv=False)
    before = np.linalg.svd(matrix, compute_uv=False)
    assert values.min() > 0.3
    assert values.max() < 1.3
    assert values.min() / values.max() > before.min() / before.max()
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    turned = u.T @ found @ v.T  # singular vectors stay what they are
    np.testing.assert_allclose(turned - np.diag(np.diag(turned)), 0, atol=1e-4)


def test_it_can_be_rebuilt() -> None:
    optimizer = build_optimizer(RECIPE, STEPS)
    again = MuonSGD.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
