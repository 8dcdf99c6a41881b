"""How fast this computer trains: real steps on made-up pictures, and what follows from them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from tenfold import machine
from tenfold.data.dataset import Dataset, Split
from tenfold.data.normalization import Normalization
from tenfold.models import build_network
from tenfold.models.flops import step_flops
from tenfold.recipe import Recipe
from tenfold.training.fit import fit
from tenfold.training.phases import costs, phase_at
from tenfold.training.portions import EVALUATION

SIZE, CLASSES, PICTURES = 32, 10, 50_000
"""CIFAR-10: side of a picture, classes, and pictures to train on, before any are held out."""

_BLOCKS = 10
"""Parts that the measured steps are cut into, at most; their spread is that of the estimate."""
_LEAST_STEPS = 5
_WARM_UP = 2
"""Steps that are not measured: TensorFlow builds its graph and chooses its kernels in them."""
_MATRIX = 2048
_MATRIX_SECONDS = 1.0

Progress = Callable[[str, float], None]
"""Told what is being done, and for how many seconds more."""


@dataclass(frozen=True)
class Range:
    """A figure with its spread.

    Attributes:
        low: the least of several measurements.
        middle: over all of them.
        high: the largest.
    """

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Speed:
    """How fast a recipe trains on pictures like those of CIFAR-10, and how long all of it takes.

    Attributes:
        recipe: its name.
        precision: what was computed in.
        batch_size: pictures in a step.
        steps: how many were measured.
        images_per_second: training pictures, augmentation and feeding included.
        epochs: of the whole training.
        pictures: in each epoch.
        seconds: estimate of a whole training: building the graph, all epochs, and the validation
            after each. Preparing the pictures and the final test are not in it.
        peak_memory_bytes: the largest resident size of this process.
        parameters: weights and biases that training changes.
        matrix_gflops: multiplications and additions a second, in thousand millions, in the product
            of two large matrices: what the processor reaches at best.
        step_gflops: likewise in the network's convolutions and matrix products, forward and back,
            see `tenfold.models.flops`.
    """

    recipe: str
    precision: Literal["float32", "bf16"]
    batch_size: int
    steps: int
    images_per_second: Range
    epochs: int
    pictures: int
    seconds: Range
    peak_memory_bytes: int
    parameters: int
    matrix_gflops: float
    step_gflops: float


def measure_speed(recipe: Recipe, *, seconds: float = 8.0, progress: Progress) -> Speed:
    """Train a recipe for a few seconds on noise, as `tenfold.train` would on CIFAR-10.

    Args:
        recipe: what to train; its data section counts only for the number of pictures.
        seconds: of training steps, after the graph is built.
        progress: called now and then.

    Raises:
        RecipeError: there is no such network, or it takes no pictures of this size.
    """
    progress("building the network", math.inf)
    precision = recipe.training.precision
    if precision == "auto":
        precision, _ = machine.preferred_precision(machine.describe())
    network = build_network(
        recipe.model, size=SIZE, classes=CLASSES, seed=recipe.seed, precision=precision
    )
    batch = recipe.training.batch_size
    dataset = _noise(training=max(8192, 2 * _BLOCKS * batch), validation=3 * EVALUATION)
    normalization = Normalization.fit(recipe.data.normalization, dataset)
    clock = _Clock(seconds, progress)
    # Enough epochs for any computer: the clock ends the training.
    endless = recipe.overridden(
        [
            *("training.epochs=10000", "training.early_stopping=none"),
            *("training.share=1.0", "training.small_size=none"),
        ]
    )
    fit(network, endless, dataset, normalization, [clock])
    memory = machine.peak_memory()

    ends = clock.step_ends
    rates = [batch / step for step in _block_steps(ends)]
    middle = batch * (len(ends) - 1) / (ends[-1] - ends[0])
    speed = Range(min(rates), middle, max(rates))
    pictures = training_pictures(recipe)
    cost = costs(recipe, SIZE).mean_from(0.0)
    validation = PICTURES * recipe.data.validation * clock.validation_seconds_a_picture
    flops = step_flops(network, phase_at(recipe, 0.0).trains)  # of the steps that are measured
    return Speed(
        recipe=recipe.name,
        precision=precision,
        batch_size=batch,
        steps=len(ends) - 1,
        images_per_second=speed,
        epochs=recipe.training.epochs,
        pictures=pictures,
        seconds=Range(
            *(
                clock.building_seconds
                + recipe.training.epochs * (cost * pictures / rate + validation)
                for rate in (speed.high, speed.middle, speed.low)
            )
        ),
        peak_memory_bytes=memory,
        parameters=sum(int(np.prod(v.shape)) for v in network.trainable_variables),
        matrix_gflops=_matrix_gflops(precision, progress),
        step_gflops=flops * middle / 1e9,
    )


def training_pictures(recipe: Recipe) -> int:
    """How many pictures of CIFAR-10 a recipe trains on in an epoch."""
    kept = PICTURES - round(PICTURES * recipe.data.validation)
    kept = kept if recipe.data.rows is None else min(kept, recipe.data.rows)
    return max(1, round(kept * recipe.training.share))


class _Clock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Takes the time of each step, and ends the training when there were enough."""

    def __init__(self, seconds: float, progress: Progress) -> None:
        super().__init__()
        self.step_ends: list[float] = []
        """When each step ended, seconds, from the last one of the warm-up on."""
        self.building_seconds = 0.0
        """From the start of the training to the end of the first step."""
        self.validation_seconds_a_picture = 0.0
        self._seconds = seconds
        self._progress = progress
        self._began = time.perf_counter()
        self._steps = 0
        self._tests: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Take the time; enough is ``seconds`` and `_LEAST_STEPS`."""
        now = time.perf_counter()
        self._steps += 1
        if self._steps == 1:
            self.building_seconds = now - self._began
        if self._steps < _WARM_UP:
            return
        self.step_ends.append(now)
        left = self.step_ends[0] + self._seconds - now
        self._progress("training", max(0.0, left) + _MATRIX_SECONDS)
        if left <= 0 and len(self.step_ends) > _LEAST_STEPS:
            self.model.stop_training = True

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Take the time of a batch of the validation."""
        self._tests.append(time.perf_counter())

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Reckon up the validation; the first batch of the first one builds the graph."""
        steps = [end - start for start, end in pairwise(self._tests)]
        self.validation_seconds_a_picture = statistics.median(steps) / EVALUATION
        if self.step_ends:  # validation is no step: start anew after it
            gap = time.perf_counter() - self.step_ends[-1]
            self.step_ends = [end + gap for end in self.step_ends]
        self._tests.clear()


def _noise(*, training: int, validation: int) -> Dataset:
    """Pictures like those of CIFAR-10 in shape, in memory."""
    random = np.random.default_rng(0)
    count = training + validation
    images = random.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
    labels = random.integers(0, CLASSES, count).astype(np.int32)

    def split(name: Literal["train", "validation", "test"], first: int, end: int) -> Split:
        return Split(name, images, labels, np.arange(first, end))

    return Dataset(
        source="noise",
        kind="noise",
        fingerprint="",
        class_names=tuple(map(str, range(CLASSES))),
        size=SIZE,
        train=split("train", 0, training),
        validation=split("validation", training, count),
        test=split("test", count, count),
        skipped=(),
    )


def _block_steps(ends: list[float]) -> list[float]:
    """Mean seconds a step in each part of a series of steps."""
    steps = len(ends) - 1
    blocks = min(_BLOCKS, steps)
    edges = [round(i * steps / blocks) for i in range(blocks + 1)]
    return [(ends[last] - ends[first]) / (last - first) for first, last in pairwise(edges)]


def _matrix_gflops(precision: str, progress: Progress) -> float:
    """The best of the products of two large matrices within `_MATRIX_SECONDS`."""
    dtype = "bfloat16" if precision == "bf16" else "float32"
    random = np.random.default_rng(0)
    a, b = (ops.cast(random.random((_MATRIX, _MATRIX), np.float32), dtype) for _ in range(2))
    best, end = math.inf, time.perf_counter() + _MATRIX_SECONDS
    while (began := time.perf_counter()) < end or best == math.inf:
        progress("multiplying matrices", max(0.0, end - began))
        _wait_for(ops.matmul(a, b))
        best = min(best, time.perf_counter() - began)
    return 2 * _MATRIX**3 / best / 1e9


def _wait_for(value: Any) -> None:
    ops.convert_to_numpy(value[:1, :1])  # NumPy makes no array of a bfloat16 alone
