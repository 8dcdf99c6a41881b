"""The training of one network on one dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import keras

from tenfold.augment import build as build_augmentation
from tenfold.data.dataset import Dataset, Split
from tenfold.data.normalization import Normalization
from tenfold.data.pipeline import TrainingOrder, evaluation_batches, training_batches
from tenfold.recipe import Recipe
from tenfold.training.averaging import EvaluateAverages
from tenfold.training.early_stopping import EarlyStopping
from tenfold.training.keeper import Keeper
from tenfold.training.loop import Feed, Loop
from tenfold.training.pace import Plan
from tenfold.training.pacing import FollowPlans, KeepTime, TimeBudget, evaluation_seconds
from tenfold.training.phases import Phase, has_phases, phase_at
from tenfold.training.picture_losses import PictureLosses
from tenfold.training.portions import Portions
from tenfold.training.selection import Selection
from tenfold.training.step import Step, accumulating_step, whole_step
from tenfold.training.stop import Stop
from tenfold.training.trainee import Trainee


@dataclass(frozen=True)
class Fitted:
    """What a training came to, over all processes that had a part in it.

    Attributes:
        epochs: how many were trained; the last one may be short.
        best_epoch: the one whose weights were kept, counted from 1; None where the last ones were.
        seconds: wall time, validation included.
        peak_memory: the largest resident size until now, in bytes.
        planned_steps: of the whole training, where a time budget decided that; else None.
        plans: all that was planned on the way there, see `tenfold.training.pace`.
    """

    epochs: int
    best_epoch: int | None
    seconds: float = field(default=0.0, compare=False)
    peak_memory: int = field(default=0, compare=False)
    planned_steps: int | None = None
    plans: tuple[Plan, ...] = ()


def training_order(recipe: Recipe, dataset: Dataset) -> TrainingOrder:
    """Which pictures each step of a recipe's training sees."""
    training = recipe.training
    return TrainingOrder(
        len(dataset.train),
        training.batch_size,
        recipe.seed,
        training.shuffle,
        training.share,
        training.whole_epochs if training.share < 1 else 0,
    )


def most_epochs(recipe: Recipe, order: TrainingOrder, time_budget: TimeBudget | None = None) -> int:
    """How many epochs a training has, the last one perhaps short; at most, with a time budget."""
    if time_budget is not None:
        return time_budget.most_epochs
    if recipe.training.steps is not None:
        return -(-recipe.training.steps // order.steps_per_epoch)
    return recipe.training.epochs


def fit(
    network: keras.Model,
    recipe: Recipe,
    dataset: Dataset,
    normalization: Normalization,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    *,
    keeper: Keeper | None = None,
    stop: Stop | None = None,
    portions: Portions | None = None,
    time_budget: TimeBudget | None = None,
) -> Fitted:
    """Train a network in place, from its last checkpoint on where there is one.

    The optimizer sees the training split, early stopping the validation split, and nothing here
    the test split. After each epoch the validation split is evaluated in batches.

    Random numbers follow from the recipe's seed, through the network's layers, the order and the
    augmentation; the process's own generators are neither read nor seeded.

    Args:
        network: from `tenfold.models.build_network`, for the dataset's size and classes.
        recipe: what to do.
        dataset: what to do it on.
        normalization: how pixels become the network's input.
        callbacks: Keras callbacks, called in their order. One that is `Resumable` goes on where it
            was; any other starts anew with each process.
        keeper: saves checkpoints and loads the last one; None: there are none.
        stop: asked between steps whether to go on; None: nobody asks to stop.
        portions: how many pictures are computed at a time; None: whole batches.
        time_budget: decides the length of the training; None: the recipe does.

    Raises:
        TrainingStopped: `stop` asked for it; all that was done is in a checkpoint.
        RunError: the loss is no number any more, or the last checkpoint is of another training.
        OutputError: the run's folder takes no more.
        TimeBudgetError: the time budget is too short to train in.
    """
    portions = portions or Portions(recipe.training.batch_size)
    in_parts = portions.training < recipe.training.batch_size
    order = training_order(recipe, dataset)
    epochs = most_epochs(recipe, order, time_budget)
    steps = order.steps_per_epoch * epochs
    trainee = Trainee(network, recipe, steps)
    classes = len(dataset.class_names)

    augment = build_augmentation(recipe.augmentation)

    def batches_from(step: int) -> Any:
        return training_batches(
            dataset.train,
            order,
            normalization=normalization,
            classes=classes,
            augment=augment,
            first_step=step,
            steps=steps - step,
            at_a_time=portions.training if in_parts else None,
        )

    def validation_after(batches: int, split: Split = dataset.validation) -> Any:
        return evaluation_batches(
            split,
            batch_size=portions.evaluation,
            normalization=normalization,
            one_hot=classes,
            first=batches,
        )

    stopping = None
    if recipe.training.early_stopping is not None:
        stopping = EarlyStopping(recipe.training.early_stopping)
    own: list[keras.callbacks.Callback] = []
    own += [EvaluateAverages()] if recipe.training.average else []
    own += [stopping] if stopping else []
    pacing: KeepTime | FollowPlans | None = None
    if time_budget is not None:
        pacing = KeepTime(
            recipe,
            time_budget,
            steps_per_epoch=order.steps_per_epoch,
            evaluate=lambda: evaluation_seconds(
                trainee,
                validation_after(0, dataset.train),  # the same graph, and there are enough of them
                min(portions.evaluation, len(dataset.train)),
            ),
            validation=len(dataset.validation),
            test=len(dataset.test),
        )
    elif recipe.training.steps is not None:
        pacing = FollowPlans(recipe)
    own += [pacing] if pacing else []
    if order.selects:
        trainee.picture_losses = PictureLosses(recipe.training.batch_size)
        own.append(Selection(order, trainee.picture_losses, recipe.training.noise))

    @cache
    def step_of(phase: Phase) -> Step:
        return (accumulating_step if in_parts else whole_step)(trainee, phase)

    def step_at(epoch: int) -> Step:
        first = epoch * order.steps_per_epoch
        return step_of(phase_at(recipe, pacing.progress(first) if pacing else first / steps))

    feed = Feed(
        batches_from,
        order.steps_per_epoch,
        epochs,
        validation_after if len(dataset.validation) else None,
        -(-len(dataset.validation) // portions.evaluation),
        in_parts,
        step_at if has_phases(recipe) or order.selects else None,
        epoch_by_epoch=order.selects,
    )
    done = Loop(trainee, feed, [*own, *callbacks], keeper, stop or Stop()).run()
    best = stopping.best_epoch if stopping else None
    return Fitted(
        done.epoch,
        None if best is None else best + 1,
        done.seconds,
        done.peak_memory,
        *((pacing.steps, pacing.plans) if isinstance(pacing, KeepTime) else ()),
    )
