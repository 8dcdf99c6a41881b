"""Which pictures an epoch is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tenfold.data.dataset import Dataset
from tenfold.data.normalization import Normalization
from tenfold.data.pipeline import TrainingOrder
from tenfold.models import build_network
from tenfold.recipe import load_recipe
from tenfold.training.fit import fit
from tenfold.training.portions import Portions
from tenfold.training.selection import Selection

COUNT, BATCH = 20, 4


class Losses:
    """Stands in for what steps note: the loss of each picture of a batch."""

    def __init__(self, of_pictures: Any) -> None:
        self.of_pictures = np.asarray(of_pictures, np.float32)
        self.positions: Any = None

    def latest(self, count: int) -> Any:
        assert count == len(self.positions)
        return self.of_pictures[self.positions]


def train(selection: Selection, order: TrainingOrder, losses: Losses, epochs: range) -> list[Any]:
    """The positions that each epoch was about."""
    seen = []
    for epoch in epochs:
        selection.on_epoch_begin(epoch)
        positions = []
        for batch in range(order.steps_per_epoch):
            losses.positions = order.positions(epoch * order.steps_per_epoch + batch)
            positions += losses.positions.tolist()
            selection.on_train_batch_end(batch)
        seen.append(positions)
    return seen


def make(noise: float, losses: Losses, share: float = 0.5) -> tuple[Selection, TrainingOrder]:
    order = TrainingOrder(COUNT, BATCH, seed=1, share=share, whole_epochs=2)
    return Selection(order, losses, noise), order  # type: ignore[arg-type]


def test_the_first_epochs_take_all_in_turn_and_later_ones_the_hardest() -> None:
    losses = Losses(np.arange(COUNT))
    selection, order = make(0.0, losses)
    first, second, third, fourth = train(selection, order, losses, range(4))
    assert sorted(first + second) == list(range(COUNT))
    assert sorted(third) == sorted(fourth) == list(range(10, COUNT))
    assert third != sorted(third)  # shuffled
    assert third != fourth


def test_what_is_learnt_gives_way_to_what_is_not() -> None:
    losses = Losses(np.arange(COUNT))
    selection, order = make(0.0, losses)
    train(selection, order, losses, range(3))
    losses.of_pictures[10:] = 0.5  # the next epoch still finds them hard, and then it does not
    fourth, fifth = train(selection, order, losses, range(3, 5))
    assert sorted(fourth) == list(range(10, COUNT))
    assert sorted(fifth)[:9] == list(range(1, 10))


def test_noise_has_learnt_pictures_looked_at_again_and_hard_ones_more_often() -> None:
    losses = Losses([1.0] * 10 + [1.5] * 10)
    selection, order = make(1.0, losses)
    epochs = train(selection, order, losses, range(2, 60))
    times = np.bincount(np.concatenate(epochs), minlength=COUNT)
    assert times.min() > 0
    assert times[10:].mean() > times[:10].mean() + 5
    again, order = make(1.0, losses)
    assert train(again, order, losses, range(2, 60)) == epochs


def test_a_selection_goes_on_where_it_was() -> None:
    losses = Losses(np.random.default_rng(0).random(COUNT))
    selection, order = make(0.5, losses)
    train(selection, order, losses, range(3))
    selection.on_epoch_begin(3)
    losses.positions = order.positions(3 * order.steps_per_epoch)
    selection.on_train_batch_end(0)
    kept = selection.checkpoint_state()

    resumed, order_again = make(0.5, losses)
    resumed.restore_state(*kept)
    resumed.on_epoch_begin(3)
    for batch in range(1, order.steps_per_epoch):
        step = 3 * order.steps_per_epoch + batch
        np.testing.assert_array_equal(order_again.positions(step), order.positions(step))
        losses.positions = order.positions(step)
        selection.on_train_batch_end(batch)
        resumed.on_train_batch_end(batch)
    rest = range(4, 7)
    assert train(resumed, order_again, losses, rest) == train(selection, order, losses, rest)


@pytest.mark.parametrize(
    "arrays",
    [
        [np.zeros(COUNT, np.float32)],
        [np.zeros(COUNT + 1, np.float32), np.empty(0, np.int64)],
        [np.zeros(COUNT), np.empty(0, np.int64)],
        [np.zeros(COUNT, np.float32), np.arange(9)],
        [np.zeros(COUNT, np.float32), np.arange(10.0)],
        [np.zeros(COUNT, np.float32), np.arange(10) + 11],
        [np.zeros(COUNT, np.float32), np.arange(10) - 1],
    ],
)
def test_what_is_no_selections_is_refused(arrays: list[Any]) -> None:
    selection, _ = make(0.0, Losses(np.zeros(COUNT)))
    with pytest.raises(ValueError):
        selection.restore_state({"epoch": 3}, arrays)


@pytest.mark.parametrize("portions", [Portions(BATCH), Portions(3)], ids=["whole", "in parts"])
def test_a_training_trains_on_what_is_chosen(
    make_dataset: Callable[..., Dataset], portions: Portions
) -> None:
    dataset = make_dataset(train=COUNT)
    # Classes 0 and 1 can be told apart; every picture of class 2 looks like one of class 0.
    dataset.train.images[dataset.train.labels == 2] = dataset.train.images[0]
    dataset.train.images[dataset.train.labels == 0] = dataset.train.images[0]
    epochs, seen = 30, []

    class Spy(TrainingOrder):
        def choose(self, epoch: int, positions: Any) -> None:
            seen.append(positions)
            super().choose(epoch, positions)

    recipe = load_recipe(
        "lab-1",
        [
            *("model.dropout=0.0", f"training.epochs={epochs}", f"training.batch_size={BATCH}"),
            *("training.share=0.5", "training.whole_epochs=4", "training.noise=0.0"),
            *("optimizer.name=adamw", "optimizer.learning_rate=0.01", "schedule.name=constant"),
        ],
    )
    network = build_network(recipe.model, size=8, classes=3, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tenfold.training.fit.TrainingOrder", Spy)
        fitted = fit(network, recipe, dataset, Normalization.fit("standard", dataset),
                     portions=portions)  # fmt: skip
    assert fitted.epochs == epochs
    assert [positions is None for positions in seen] == [True] * 4 + [False] * (epochs - 4)
    last = np.concatenate(seen[-5:])
    told_apart = dataset.train.labels[last] == 1
    assert told_apart.mean() < 0.1  # a third of all, and learnt
