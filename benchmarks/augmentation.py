"""Images a second of each augmentation effect by itself, and of all of them together.

Batches of 128 pictures of 32x32 go through a tf.data map, as in training, and are thrown away::

    python benchmarks/augmentation.py

Each figure is the median of three measurements after one that compiles. Beside it stand the images
for each second of processor time, which is what augmentation takes from training.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import statistics
import time
from typing import Any

import numpy as np
import tensorflow as tf

import report
from tenfold.augment import build
from tenfold.augment.draw import LAB
from tenfold.recipe import AugmentationSection

BATCH, SIDE, CLASSES = 128, 32, 10
STEPS = 200

GEOMETRY: dict[str, Any] = {
    "rotation": 180,
    "width_shift": 0.4,
    "height_shift": 0.4,
    "zoom": 0.3,
    "shear": 30,
    "flip": "random",
}
LIGHT: dict[str, Any] = {"rescale": 2, "brightness": 0.3, "contrast": 0.4}
REST: dict[str, Any] = {"cutout": 0.5, "mixup": 0.2}
EVERYTHING = GEOMETRY | LIGHT | REST

SETTINGS: dict[str, AugmentationSection] = {
    "nothing (the harness)": AugmentationSection(),
    **{name: AugmentationSection(**{name: value}) for name, value in EVERYTHING.items()},
    "flip, alternate": AugmentationSection(flip="alternate"),
    **{
        f"all geometry, {fill}": AugmentationSection(**GEOMETRY, fill=fill)
        for fill in ("nearest", "reflect", "wrap", "constant")
    },
    "the lab's": LAB,
    "everything": AugmentationSection(**EVERYTHING),
}


def batches(section: AugmentationSection) -> tf.data.Dataset:
    """Augmented batches without end, from one batch of noise in memory."""
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(0, 255, (BATCH, SIDE, SIDE, 3)).astype(np.float32))
    labels = tf.one_hot(rng.integers(0, CLASSES, BATCH), CLASSES)
    augment = build(section)

    def make(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if augment is None:
            return images, labels
        ids = tf.range(BATCH, dtype=tf.int64)
        return augment(images, labels, ids=ids, epoch=step, seed=tf.constant(0, tf.int64))

    return tf.data.Dataset.counter().map(make, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def measure(section: AugmentationSection) -> tuple[float, float, float]:
    """Images a second, images a processor second, and seconds until the first batch."""
    start = time.perf_counter()
    steps = iter(batches(section))
    next(steps)
    first = time.perf_counter() - start
    by_wall, by_processor = [], []
    for _ in range(3):
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(STEPS):
            next(steps)
        by_wall.append(BATCH * STEPS / (time.perf_counter() - wall))
        by_processor.append(BATCH * STEPS / (time.process_time() - processor))
    return statistics.median(by_wall), statistics.median(by_processor), first


def main() -> None:
    """Measure every effect, and write the table."""
    rows, measured = [], {}
    for name, section in SETTINGS.items():
        by_wall, by_processor, first = measure(section)
        rows.append([name, f"{by_wall:,.0f}", f"{by_processor:,.0f}", f"{first:.2f}"])
        measured[name] = {
            "images_per_second": by_wall,
            "images_per_cpu_second": by_processor,
            "first_batch_seconds": first,
        }
    titles = ["effect", "images/s", "images/CPU s", "first batch, s"]
    report.save("augmentation", report.table(titles, rows), measured)


if __name__ == "__main__":
    main()
