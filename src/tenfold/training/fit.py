"""The training of one network on one dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from tenfold.augment import build as build_augmentation
from tenfold.data.dataset import Dataset
from tenfold.data.normalization import Normalization
from tenfold.data.pipeline import TrainingOrder, evaluation_batches, training_batches
from tenfold.recipe import Recipe
from tenfold.training.averaging import EvaluateAverages
from tenfold.training.early_stopping import EarlyStopping
from tenfold.training.trainee import Trainee

EVALUATION_BATCH = 256
"""Pictures in a batch of an evaluation: it bounds memory whatever the split's size."""


@dataclass(frozen=True)
class Fitted:
    """What a training came to.

    Attributes:
        epochs: how many were trained.
        best_epoch: the one whose weights were kept, counted from 1; None where the last ones were.
    """

    epochs: int
    best_epoch: int | None


def training_order(recipe: Recipe, dataset: Dataset) -> TrainingOrder:
    """Which pictures each step of a recipe's training sees."""
    training = recipe.training
    return TrainingOrder(len(dataset.train), training.batch_size, recipe.seed, training.shuffle)


def fit(
    network: keras.Model,
    recipe: Recipe,
    dataset: Dataset,
    normalization: Normalization,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Fitted:
    """Train a network in place.

    The optimizer sees the training split, early stopping the validation split, and nothing here
    the test split. After each epoch the validation split is evaluated in batches.

    Random numbers follow from the recipe's seed, through the network's layers, the order and the
    augmentation; the process's own generators are neither read nor seeded.

    Args:
        network: from `tenfold.models.build_network`, for the dataset's size and classes.
        recipe: what to do.
        dataset: what to do it on.
        normalization: how pixels become the network's input.
        callbacks: Keras callbacks, called in their order.
    """
    order = training_order(recipe, dataset)
    steps = order.steps_per_epoch * recipe.training.epochs
    trainee = Trainee(network, recipe, steps)
    classes = len(dataset.class_names)
    stream = training_batches(
        dataset.train,
        order,
        normalization=normalization,
        classes=classes,
        augment=build_augmentation(recipe.augmentation),
        steps=steps,
    )
    validation = None
    if len(dataset.validation):
        validation = evaluation_batches(
            dataset.validation,
            batch_size=EVALUATION_BATCH,
            normalization=normalization,
            one_hot=classes,
        )
    stopping = None
    if recipe.training.early_stopping is not None:
        stopping = EarlyStopping(recipe.training.early_stopping)
    own = [EvaluateAverages()] if recipe.training.average else []
    own += [stopping] if stopping else []
    history = trainee.fit(
        stream,
        epochs=recipe.training.epochs,
        steps_per_epoch=order.steps_per_epoch,
        validation_data=validation,
        callbacks=[*own, *callbacks],
        shuffle=False,  # the stream comes shuffled
        verbose=0,
    )
    best = stopping.best_epoch if stopping else None
    return Fitted(len(history.epoch), None if best is None else best + 1)
