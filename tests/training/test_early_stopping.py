"""Stopping on a script of validation losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import pytest

from tenfold.data.dataset import Dataset
from tenfold.data.normalization import Normalization
from tenfold.models import build_network
from tenfold.recipe import Recipe
from tenfold.training.averaging import weights_to_evaluate
from tenfold.training.early_stopping import EarlyStopping
from tenfold.training.fit import Fitted, fit
from tenfold.training.loop import Loop


def follow(losses: list[float], patience: int) -> tuple[int, int | None, float]:
    """Epochs until the stop, the best epoch, and the weight at the end; epoch n has weight n."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    stopping = EarlyStopping(patience)
    stopping.set_model(model)
    epochs = 0
    for epoch, loss in enumerate(losses):
        model.layers[0].kernel.assign([[float(epoch)]])
        stopping.on_epoch_end(epoch, {"val_loss": loss})
        epochs += 1
        if model.stop_training:
            break
    stopping.on_train_end()
    return epochs, stopping.best_epoch, float(model.layers[0].kernel[0, 0])


@pytest.mark.parametrize(
    ("losses", "patience", "expected"),
    [
        ([3, 2, 1, 2, 2, 0], 2, (5, 2, 2.0)),  # two epochs after the best, before the sixth
        ([3, 2, 1, 2, 0.5, 1, 1, 1], 2, (7, 4, 4.0)),  # a better one starts the wait again
        ([1, 1, 1, 1], 3, (4, 0, 0.0)),  # as good is not better
        ([3, 2, 1], 1, (3, 2, 2.0)),  # never stopped
        ([1, 2], 5, (2, 0, 0.0)),  # ended before the patience did, the best still come back
        ([math.nan, 2, math.nan, 3], 2, (4, 1, 1.0)),  # no number is never the best
        ([math.nan, math.nan, math.nan], 2, (3, None, 2.0)),
    ],
)
def test_the_script_stops_where_patience_ends_with_the_best_weights(
    losses: list[float], patience: int, expected: tuple[int, int | None, float]
) -> None:
    assert follow(losses, patience) == expected


class Keeper(keras.callbacks.Callback):
    """Keeps the weights that each epoch's validation was computed with."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[list[Any]] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.epochs.append(weights_to_evaluate(self.model))


def test_fit_stops_and_puts_back_the_weights_that_were_evaluated_best(
    make_dataset: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    script: Iterator[float] = iter([3.0, 1.0, 2.0, 2.0, 0.0])
    validate = Loop._validate

    def scripted(self: Loop, first: int) -> dict[str, float]:
        return {**validate(self, first), "loss": next(script)}

    monkeypatch.setattr(Loop, "_validate", scripted)
    recipe = Recipe().overridden(
        [
            "model.name=lab-1",
            "training.epochs=9",
            "training.batch_size=20",
            "training.early_stopping=2",
            "training.average=0.7",
        ]
    )
    dataset = make_dataset()
    network = build_network(recipe.model, size=8, classes=3, seed=0)
    keeper = Keeper()
    fitted = fit(network, recipe, dataset, Normalization.fit("minmax", dataset), [keeper])
    assert fitted == Fitted(epochs=4, best_epoch=2)
    for ours, best, last in zip(
        network.get_weights(), keeper.epochs[1], keeper.epochs[-1], strict=True
    ):
        np.testing.assert_array_equal(ours, best)
        assert not np.array_equal(ours, last)
