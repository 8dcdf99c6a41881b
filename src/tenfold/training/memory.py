"""Keeping a training within a memory budget: how many pictures it can compute at a time.

What a picture costs is measured, by training steps on a few pictures, then on twice as many, for as
long as twice as many again are expected to fit. A measurement is only made where memory is not
plenty.
"""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import keras
import psutil

from tenfold import machine
from tenfold.augment import build as build_augmentation
from tenfold.data.dataset import Dataset
from tenfold.data.normalization import Normalization
from tenfold.data.pipeline import TrainingOrder, evaluation_batches, training_batches
from tenfold.errors import RecipeError
from tenfold.recipe import Recipe
from tenfold.training.portions import EVALUATION, Portions
from tenfold.training.step import accumulating_step
from tenfold.training.trainee import Trainee

_MB = 10**6
_FEWEST = 8
"""Pictures below which a step is mostly overhead, and memory mostly not the pictures'."""

_COPIES = 16
"""Times that a picture's activations are in memory during a step, at the very most: what the layers
give, its gradient, and what kernels and their gradients rearrange."""

_PLENTY = 3
"""A picture certainly takes no more than so many times what is known of it."""

_AFTER_TRAINING = 200 * _MB
"""For what follows the training steps: the test, the saved model, the curves."""

_NOISE = 0.05
"""Share of the budget by which a long training may exceed a short measurement."""

_BUILT_AGAIN = 60 * _MB
"""For the graphs of the training itself: those that were measured are not all given back."""


def default_budget() -> int:
    """Bytes that this process may have in all, where the user names no budget.

    What is free, container limits counted, and what the process has already, less a margin: a tenth
    of what is free, 256 MB at least, for whatever else the computer has to do.
    """
    free = machine.describe().memory_available
    return resident() + free - max(free // 10, 256 * _MB)


def choose_portions(
    network: keras.Model,
    recipe: Recipe,
    dataset: Dataset,
    normalization: Normalization,
    budget: int,
) -> Portions:
    """The largest portions that keep the whole process within a budget.

    Whole batches wherever they fit, so that a run's bits depend on memory only where they must.

    Args:
        network: what will be trained; it is left as it was.
        recipe: how.
        dataset: on what.
        normalization: how pixels become the network's input.
        budget: bytes.

    Raises:
        RecipeError: the least does not fit; the line names the smallest budget that would do.
    """
    batch, whole = recipe.training.batch_size, Portions(recipe.training.batch_size)
    batch = min(batch, len(dataset.train))
    if _at_most(network, dataset, batch) <= budget - resident():
        return whole
    trial = _Trial(network, recipe, dataset, normalization)
    usable = int(budget * (1 - _NOISE)) - _BUILT_AGAIN
    before = resident()
    try:
        sizes = [batch]
        while sizes[0] > _FEWEST:
            sizes.insert(0, -(-sizes[0] // 2))
        at_a_time, least = _largest(sizes, trial.train, usable, _of_a_picture(network))
        most = evaluated = min(EVALUATION, len(dataset.train))
        least_to_evaluate = 0
        if most > at_a_time:  # else it takes less than training does
            sizes = [most]
            while sizes[0] > at_a_time:
                sizes.insert(0, -(-sizes[0] // 2))
            evaluated, least_to_evaluate = _largest(sizes, trial.evaluate, usable, 0)
    finally:
        trial.undo()
    least = max(least, least_to_evaluate, before + _AFTER_TRAINING)
    if least > usable:
        needed = math.ceil((least + _BUILT_AGAIN) / (1 - _NOISE) / (10 * _MB)) * 10
        raise RecipeError(
            f"training {recipe.name} on {dataset.source} does not fit {budget / _MB:,.0f} MB, even "
            f"with {min(_FEWEST, batch)} pictures at a time; it would with --memory {needed}MB"
        )
    return Portions(
        recipe.training.batch_size if at_a_time == batch else at_a_time,
        EVALUATION if evaluated == most else evaluated,
    )


def resident() -> int:
    """Bytes of memory that this process has now."""
    return int(psutil.Process().memory_info().rss)


class ResidentPeak:
    """Watches the resident size while a block runs; `bytes` is the largest that was seen."""

    def __init__(self, every: float = 0.001) -> None:
        self.bytes = 0
        self._every = every
        self._process = psutil.Process()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._done.wait(self._every):
            self._look()

    def _look(self) -> None:
        self.bytes = max(self.bytes, self._process.memory_info().rss)


def _largest(
    sizes: Sequence[int], measure: Callable[[int], int], usable: int, of_a_picture: int
) -> tuple[int, int]:
    """The largest size that fits, and the memory of the smallest.

    Args:
        sizes: rising, each about twice the one before.
        measure: the peak memory at a size, in bytes.
        usable: bytes.
        of_a_picture: bytes that one more picture takes at the least. What few pictures take hides
            in memory that was used before, and so tells too little of what many take.
    """
    # The first time, graphs are built and kernels chosen, for which no further picture pays.
    before = measure(sizes[0])
    least = peak = measure(sizes[0])
    fits = sizes[0]
    for size in sizes[1:]:
        # Memory grows in proportion, or nearly: twice the pictures add twice what these added.
        if peak + max(2 * (peak - before), (size - fits) * of_a_picture) > usable:
            break
        before, peak = peak, measure(size)
        if peak > usable:
            break
        added = max(_PLENTY * (peak - before) / (size - fits), _PLENTY * of_a_picture)
        fits = size
        if peak + added * (sizes[-1] - size) <= usable:
            return sizes[-1], least  # certainly: large batches take long to measure
    return fits, least


def _of_a_picture(network: keras.Model) -> int:
    """About the bytes of what all layers give for a picture, and of the gradients by it."""
    outputs = [tensor for layer in network.layers for tensor in keras.tree.flatten(layer.output)]
    sizes = (
        math.prod(tensor.shape[1:]) * (2 if tensor.dtype == "bfloat16" else 4) for tensor in outputs
    )
    return int(2 * sum(sizes))


def _at_most(network: keras.Model, dataset: Dataset, batch: int) -> int:
    """Bytes that a training adds to the process, generously."""
    weights = sum(math.prod(variable.shape) for variable in network.variables)
    pictures = max(batch, EVALUATION // 4)  # an evaluation keeps a layer or two at a time
    activations = _COPIES // 2 * _of_a_picture(network) * pictures
    return int(activations + 4 * 8 * weights) + _AFTER_TRAINING


class _Trial:
    """Steps of a training that leave no trace in its network."""

    def __init__(
        self, network: keras.Model, recipe: Recipe, dataset: Dataset, normalization: Normalization
    ) -> None:
        self._network, self._recipe = network, recipe
        self._dataset, self._normalization = dataset, normalization
        self._before = [keras.ops.convert_to_numpy(v).copy() for v in network.variables]
        self._trainee = Trainee(network, recipe, steps=1)
        self._trainee.make_test_function()
        self._step = accumulating_step(self._trainee)

    def train(self, at_a_time: int) -> int:
        """The peak of two steps, each of up to two parts."""
        count = len(self._dataset.train)
        order = TrainingOrder(count, min(count, 2 * at_a_time), self._recipe.seed)
        with ResidentPeak() as peak:
            batches = iter(
                training_batches(
                    self._dataset.train,
                    order,
                    normalization=self._normalization,
                    classes=len(self._dataset.class_names),
                    augment=build_augmentation(self._recipe.augmentation),
                    steps=2,
                    at_a_time=at_a_time,
                )
            )
            for _ in range(2):
                self._step(batches)
        return peak.bytes

    def evaluate(self, at_a_time: int) -> int:
        """The peak of two batches of an evaluation; of training pictures, of which there are."""
        split = self._dataset.train
        with ResidentPeak() as peak:
            batches = iter(
                evaluation_batches(
                    split,
                    batch_size=at_a_time,
                    normalization=self._normalization,
                    one_hot=len(self._dataset.class_names),
                )
            )
            for _ in range(min(2, -(-len(split) // at_a_time))):
                self._trainee.test_function(batches)
        return peak.bytes

    def undo(self) -> None:
        """Put the network back."""
        for variable, value in zip(self._network.variables, self._before, strict=True):
            variable.assign(value)
        del self._step, self._trainee
        gc.collect()
