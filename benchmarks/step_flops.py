"""The training step's FLOP/s over what this machine reaches in large matrix products.

    python benchmarks/step_flops.py [--recipes lab-1 lab-2 fast] [--rounds 9] [--seconds 1]

A step is the one that training compiles, by the recipe's network, optimizer, batch and precision,
on one batch of 32x32 noise that lies in memory: no feeding and no augmentation. Its operations are
counted by the layers, see `tenfold.models.flops`. The ceiling is the fastest of several products of
large matrices in the same precision, by the same threads. Since oneDNN computes some convolutions
faster than TensorFlow multiplies matrices, the fastest of several large convolutions stands beside
it; without padding, so that each operation counted is one that is done.

All are measured in turn, round after round, each for about as many seconds; what is shown is by the
median time over all rounds. Where a recipe's steps change in the course of the training, each kind
has a row.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as tenfold does

import tensorflow as tf

import report
from tenfold import machine
from tenfold.models import build_network
from tenfold.models.flops import step_flops
from tenfold.recipe import Recipe, load_recipe
from tenfold.training.phases import WHOLE, Phase, phase_at
from tenfold.training.picture_losses import PictureLosses
from tenfold.training.step import whole_step
from tenfold.training.trainee import Trainee

SIDE, CLASSES = 32, 10
MATRICES = ((2048, 2048, 2048), (4096, 4096, 4096), (16384, 2048, 1024), (1024, 8192, 1024))
"""Rows, columns that are summed over, and columns of each product."""
CONVOLUTIONS = ((64, 34, 64, 64), (64, 34, 128, 128), (128, 18, 256, 256), (512, 10, 256, 256))
"""Pictures, their side, channels in and out of each 3x3 convolution."""


@dataclass
class Task:
    """Something to be measured.

    Attributes:
        kind: ``step``, ``matrix`` or ``convolution``.
        name: what it is called in the table.
        precision: what it computes in.
        flops: floating-point operations each time.
        run: does it once, and waits for the end.
        batch: pictures in a step.
        seconds: what each time took.
    """

    kind: str
    name: str
    precision: str
    flops: float
    run: Callable[[], object] = field(repr=False)
    batch: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    @property
    def rate(self) -> float:
        """FLOP/s."""
        return self.flops / self.median


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipes", nargs="+", default=["lab-1", "lab-2", "fast"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each in each round")
    arguments = parser.parse_args()
    steps = [task for name in arguments.recipes for task in steps_of(load_recipe(name))]
    precisions = sorted({step.precision for step in steps})
    products = [task for precision in precisions for task in products_in(precision)]
    measure([*steps, *products], arguments.rounds, arguments.seconds)
    ceilings = {
        precision: {
            kind: fastest(one for one in products if (one.kind, one.precision) == (kind, precision))
            for kind in ("matrix", "convolution")
        }
        for precision in precisions
    }
    measured = [
        {key: value for key, value in vars(task).items() if key != "run"}
        for task in (*steps, *products)
    ]
    report.save("step_flops", tables(steps, products, ceilings), measured)


def fastest(tasks: Iterable[Task]) -> Task:
    """The one of the most FLOP/s."""
    return max(tasks, key=lambda task: task.rate)


def steps_of(recipe: Recipe) -> Iterator[Task]:
    """Each kind of step that a recipe's training has."""
    precision = recipe.training.precision
    if precision == "auto":
        precision, _ = machine.preferred_precision(machine.describe())
    epochs, batch = recipe.training.epochs, recipe.training.batch_size
    phases: dict[Phase, list[int]] = {}
    for epoch in range(epochs):
        phases.setdefault(phase_at(recipe, epoch / epochs), []).append(epoch + 1)

    def network_for(size: int) -> Any:
        return build_network(recipe.model, size=size, classes=CLASSES, precision=precision)

    trainee = Trainee(network_for(SIDE), recipe, steps=10_000)
    if recipe.training.share < 1:
        trainee.picture_losses = PictureLosses(batch)
    pictures = tf.random.stateless_normal((batch, SIDE, SIDE, 3), (0, 1))
    labels = tf.one_hot(tf.range(batch) % CLASSES, CLASSES)
    batches = iter(tf.data.Dataset.from_tensors((pictures, labels)).repeat())
    for phase, trained in phases.items():
        if phase == WHOLE and trainee.picture_losses is None:
            trainee.make_train_function()  # as the loop does where nothing changes
            step = trainee.train_function
        else:
            step = whole_step(trainee, phase)
        name = recipe.name if len(phases) == 1 else f"{recipe.name}, epochs {span(trained)}"
        flops = batch * step_flops(network_for(phase.size or SIDE), phase.trains)

        def run(step: Any = step) -> float:
            return float(step(batches)["loss"])

        yield Task("step", name, precision, flops, run, batch)


def span(epochs: list[int]) -> str:
    """The first and the last of some that follow each other."""
    return f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else str(epochs[0])


def products_in(precision: str) -> Iterator[Task]:
    """Products of large matrices, and large convolutions."""
    dtype = tf.bfloat16 if precision == "bf16" else tf.float32

    def noise(*shape: int) -> Any:
        return tf.cast(tf.random.stateless_normal(shape, (0, 1)), dtype)

    def task(kind: str, name: str, flops: int, product: Callable[..., Any], *of: Any) -> Task:
        compiled = tf.function(product)
        return Task(kind, name, precision, flops, lambda: compiled(*of)[0, 0].numpy())

    for rows, inner, columns in MATRICES:
        name, flops = f"matrices, {rows}x{inner}x{columns}", 2 * rows * inner * columns
        yield task("matrix", name, flops, tf.matmul, noise(rows, inner), noise(inner, columns))
    for count, side, channels, filters in CONVOLUTIONS:
        yield task(
            "convolution",
            f"3x3 convolution, {channels} to {filters} channels, {count} of {side}x{side}",
            2 * count * (side - 2) ** 2 * 9 * channels * filters,
            lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "VALID"),
            noise(count, side, side, channels),
            noise(3, 3, channels, filters),
        )


def measure(tasks: list[Task], rounds: int, seconds: float) -> None:
    """Take the times of each, in turn."""
    for task in tasks:
        for _ in range(3):  # the first ones compile
            task.run()
    for _ in range(rounds):
        for task in tasks:
            end = time.perf_counter() + seconds
            while (began := time.perf_counter()) < end:
                task.run()
                task.seconds.append(time.perf_counter() - began)


def tables(
    steps: list[Task], products: list[Task], ceilings: Mapping[str, Mapping[str, Task]]
) -> str:
    """One of the steps, and one of what they are measured by."""
    rows = []
    for step in steps:
        best = ceilings[step.precision]
        facts = [step.name, str(step.batch), step.precision, f"{step.flops / 1e9:,.1f}"]
        shares = (f"{step.rate / best[kind].rate:.0%}" for kind in ("matrix", "convolution"))
        rows.append([*facts, f"{1000 * step.median:,.1f}", f"{step.rate / 1e9:,.0f}", *shares])
    titles = ["step of", "pictures", "precision", "GFLOP", "ms", "GFLOP/s"]
    titles += ["of the matrix product", "of the convolution"]
    best_ones = [id(one) for kinds in ceilings.values() for one in kinds.values()]
    others = []
    for one in products:
        reached = f"{one.rate / 1e9:,.0f}"
        reached = f"**{reached}**" if id(one) in best_ones else reached
        times = f"{one.flops / 1e9:,.1f}", f"{1000 * one.median:,.1f}", reached
        others.append([one.name, one.precision, *times])
    by = report.table(["measured by", "precision", "GFLOP", "ms", "GFLOP/s"], others)
    return report.table(titles, rows) + "\n" + by


if __name__ == "__main__":
    main()
