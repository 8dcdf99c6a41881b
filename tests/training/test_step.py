"""A batch in parts is the same step as the batch as a whole."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from tenfold.data.dataset import Dataset
from tenfold.data.normalization import Normalization
from tenfold.models import build_network
from tenfold.recipe import Recipe, load_recipe
from tenfold.training.fit import fit
from tenfold.training.portions import Portions


class Logs(keras.callbacks.Callback):
    """Keeps what is reported of each step, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[dict[str, float]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.steps.append(dict(logs or {}))


def trained(recipe: Recipe, dataset: Dataset, portions: Portions) -> tuple[list[np.ndarray], Logs]:
    network = build_network(recipe.model, size=8, classes=3, seed=1)
    logs = Logs()
    normalization = Normalization.fit("standard", dataset)
    fit(network, recipe, dataset, normalization, [logs], portions=portions)
    assert int(logs.model.optimizer.iterations) == len(logs.steps)
    return network.get_weights(), logs


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_the_gradient_is_the_mean_over_the_whole_batch(
    make_dataset: Callable[..., Dataset], optimizer: str
) -> None:
    # 40 pictures in batches of 16, 16 and 8; of these in parts of 6, 6, 4 and 6, 2. Nothing here
    # depends on what else is in a part: no batch normalization, no dropout, no mixup.
    dataset = make_dataset(train=40)
    recipe = load_recipe(
        "lab-1",
        [
            *("model.dropout=0.0", "training.epochs=2", "training.batch_size=16"),
            *(f"optimizer.name={optimizer}", "optimizer.clip_norm=0.5", "augmentation.flip=random"),
            f"optimizer.learning_rate={'0.2' if optimizer == 'sgd' else '0.004'}",  # as each wants
        ],
    )
    whole, of_whole = trained(recipe, dataset, Portions(16))
    parts, of_parts = trained(recipe, dataset, Portions(6, evaluation=7))
    start = build_network(recipe.model, size=8, classes=3, seed=1).get_weights()
    for ours, theirs, before in zip(parts, whole, start, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
        assert np.abs(theirs - before).max() > 2e-3
    for one, other in zip(of_parts.steps, of_whole.steps, strict=True):
        assert one == pytest.approx(other, rel=1e-3)
