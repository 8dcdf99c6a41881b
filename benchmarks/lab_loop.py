"""The lab's training loop, for comparison: each step is followed by one on the whole test split.

    python benchmarks/lab_loop.py SOURCE [--recipe lab-2-original] [--set section.key=value ...]

Plain Keras and TensorFlow. The network, its start, and the order of the pictures are those that
Tenfold has with the same recipe. The first ``data.test_rows`` test pictures are the lab's test
split; all other test pictures are seen only when the training has ended. Prints a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tenfold import machine, open_dataset
from tenfold.data.normalization import Normalization
from tenfold.data.pipeline import TrainingOrder
from tenfold.models import build_network
from tenfold.recipe import load_recipe

Batch = tuple[Any, Any]


def main() -> None:
    """Train, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source")
    parser.add_argument("--recipe", default="lab-2-original")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--steps", type=int, help="the most; left out, as many as the epochs have")
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.source, arguments.recipe, arguments.overrides, arguments.steps)))


def run(source: str, name: str, overrides: list[str], most: int | None) -> dict[str, Any]:
    """Train a recipe that has RMSProp and a limit of test rows, by the lab's loop."""
    recipe = load_recipe(name, overrides)
    dataset = open_dataset(source, validation=0.0, rows=recipe.data.rows, seed=recipe.seed)
    normalization = Normalization.fit(recipe.data.normalization, dataset)
    training = recipe.training
    order = TrainingOrder(len(dataset.train), training.batch_size, recipe.seed, training.shuffle)
    whole = order.steps_per_epoch * training.epochs
    steps = min(whole, most or whole)

    def batch(split: Any, positions: NDArray[np.integer]) -> Batch:
        pixels, labels = split.gather(positions)
        return normalization.apply(pixels.astype(np.float32)), labels

    test_rows = min(recipe.data.test_rows or 0, len(dataset.test) // 2)
    test = batch(dataset.test, np.arange(test_rows))
    unseen = batch(dataset.test, np.arange(test_rows, len(dataset.test)))
    network = build_network(
        recipe.model, size=dataset.size, classes=len(dataset.class_names), seed=recipe.seed
    )
    logits = keras.Model(network.input, network.get_layer("logits").output)
    optimizer = keras.optimizers.RMSprop(recipe.optimizer.learning_rate)
    step = step_function(logits, optimizer, doubled=training.loss == "doubled-softmax")
    began = time.perf_counter()
    times = train(step, (batch(dataset.train, order.positions(s)) for s in range(steps)), test)
    seconds = time.perf_counter() - began
    # The first step is left out of what a step takes: it includes the making of the graph.
    return {
        "test": accuracy(logits, test),
        "test_rows": test_rows,
        "unseen": accuracy(logits, unseen),
        "seconds": seconds,
        "steps": steps,
        "whole_steps": whole,
        "seconds_a_step": float(np.mean(times[1:] or times)),
        "peak_memory_bytes": machine.peak_memory(),
    }


def step_function(
    logits: keras.Model, optimizer: keras.optimizers.Optimizer, *, doubled: bool
) -> Callable[[Any, Any], Any]:
    """One step of the optimizer on a batch; with ``doubled``, the loss applies softmax again."""

    @tf.function(reduce_retracing=True)
    def step(pictures: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = logits(pictures, training=True)
            outputs = tf.nn.softmax(outputs) if doubled else outputs
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)
            loss = tf.reduce_mean(losses)
        weights = logits.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    return step


def train(step: Callable[[Any, Any], Any], batches: Iterable[Batch], test: Batch) -> list[float]:
    """Train on each batch and, every time, on the whole test split; the seconds of each."""
    test = tuple(tf.constant(array) for array in test)  # once, not at every step
    times = []
    for batch in batches:
        began = time.perf_counter()
        step(*batch)
        float(step(*test))  # waits for the result
        times.append(time.perf_counter() - began)
    return times


def accuracy(logits: keras.Model, pictures_and_labels: Batch, batch_size: int = 100) -> float:
    """Share of arg-max hits."""
    pictures, labels = pictures_and_labels
    hits = 0
    for start in range(0, len(labels), batch_size):
        part = slice(start, start + batch_size)
        predicted = keras.ops.argmax(logits(pictures[part], training=False), axis=1)
        hits += int(np.sum(np.asarray(predicted) == labels[part]))
    return hits / len(labels)


if __name__ == "__main__":
    main()
