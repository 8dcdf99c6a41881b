"""What feeding costs beside a training step of network 2: 50,000 pictures of 32x32, batches of 128.

    python benchmarks/feeding.py [--steps 40] [--rounds 7]

Feeding gathers shuffled pictures from a memory-mapped file, normalizes them and makes the labels
one-hot; with ``lab-2`` it augments them as that recipe says. Measured in turn, in one process:
batches that are made and thrown away (feeding alone); steps on one batch that is always there;
steps on batches that are fed. Figures are medians over the rounds of means over the steps.

The shares are those of feeding alone in a step: of its wall time, what feeding would cost if each
step had to wait for it; of its processor time, what it takes from the step where it runs beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

import report
from tenfold import augment, machine
from tenfold.data.dataset import Split
from tenfold.data.normalization import Normalization
from tenfold.data.pipeline import TrainingOrder, training_batches
from tenfold.models import build_network
from tenfold.recipe import AugmentationSection, load_recipe
from tenfold.training.trainee import Trainee

PICTURES, SIDE, CLASSES, BATCH = 50_000, 32, 10, 128
NORMALIZATION = Normalization(offset=(125.0,) * 3, scale=(62.0,) * 3)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=40, help="in each measurement")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        split = make_split(Path(folder))
        measured = measure(split, arguments.steps, arguments.rounds)
    medians = {
        name: {clock: statistics.median(times) for clock, times in clocks.items()}
        for name, clocks in measured.items()
    }
    step, rows = medians["step"], []
    for name in ("plain", "lab-2"):
        alone, fed = medians[f"{name}, alone"], medians[f"{name}, fed step"]
        times = (alone["wall"], step["wall"], fed["wall"], alone["processor"], step["processor"])
        shares = (alone[clock] / step[clock] for clock in ("wall", "processor"))
        rows.append([name, *(f"{1000 * t:.2f}" for t in times), *(f"{s:.1%}" for s in shares)])
    titles = ["feeding", "alone, ms", "step, ms", "fed step, ms", "alone, CPU ms", "step, CPU ms"]
    titles += ["share of wall time", "share of processor time"]
    report.save("feeding", report.table(titles, rows), measured)


def make_split(folder: Path) -> Split:
    """Noise in a memory-mapped file, as a store has it."""
    random = np.random.default_rng(0)
    path, shape = folder / "images.raw", (PICTURES, SIDE, SIDE, 3)
    random.integers(0, 256, shape, np.uint8).tofile(path)
    images = np.memmap(path, np.uint8, mode="r", shape=shape)
    labels = random.integers(0, CLASSES, PICTURES).astype(np.int32)
    return Split("train", images, labels, np.arange(PICTURES))


def measure(split: Split, steps: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds a batch or a step, by two clocks, a figure for each round."""
    recipe = load_recipe("lab-2")
    precision, _ = machine.preferred_precision(machine.describe())
    network = build_network(recipe.model, size=SIDE, classes=CLASSES, precision=precision)
    trainee = Trainee(network, recipe, steps=10_000)
    trainee.make_train_function()
    streams = {
        "plain": feed(split, AugmentationSection()),
        "lab-2": feed(split, recipe.augmentation),
    }
    constant = iter(tf.data.Dataset.from_tensors(next(streams["plain"])).repeat())

    tasks: dict[str, Callable[[], Any]] = {
        "step": lambda: float(trainee.train_function(constant)["loss"])
    }
    for name, stream in streams.items():
        tasks[f"{name}, alone"] = lambda stream=stream: next(stream)
        tasks[f"{name}, fed step"] = lambda stream=stream: float(
            trainee.train_function(stream)["loss"]
        )
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    measured: dict[str, dict[str, list[float]]] = {
        name: {clock: [] for clock in clocks} for name in tasks
    }
    for round_ in range(rounds + 1):
        for name, task in tasks.items():
            for _ in range(3):  # use up what was read ahead while something else was measured
                task()
            began = {clock: read() for clock, read in clocks.items()}
            for _ in range(steps):
                task()
            if round_ == 0:
                continue  # the first one compiles
            for clock, read in clocks.items():
                measured[name][clock].append((read() - began[clock]) / steps)
    return measured


def feed(split: Split, section: AugmentationSection) -> Iterator[Any]:
    """Batches without end, as training takes them."""
    batches = training_batches(
        split,
        TrainingOrder(PICTURES, BATCH, seed=0),
        normalization=NORMALIZATION,
        classes=CLASSES,
        augment=augment.build(section),
        steps=10_000_000,
    )
    return iter(batches)


if __name__ == "__main__":
    main()
