"""A network's training step by stock Keras and by Tenfold, in turn, in one process.

    python benchmarks/networks.py [--networks resnet-20 ...] [--batch 128] [--steps 12]

The same network on one batch of 32x32 noise, with one optimizer; figures are medians over the
steps. Weights are the trainable ones for 10 classes; multiplications are those of convolutions and
dense layers, from a picture to its logits.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from typing import Any, Literal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as tenfold does

import keras
import tensorflow as tf

import report
from tenfold.models import build_network
from tenfold.models.flops import multiplications
from tenfold.models.forward import forward_function
from tenfold.recipe import ModelSection

SIDE, CLASSES = 32, 10
PRECISIONS: tuple[Literal["float32", "bf16"], ...] = ("float32", "bf16")


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", default=["resnet-20"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12)
    arguments = parser.parse_args()
    measured, rows = [], []
    for name in arguments.networks:
        for precision in PRECISIONS:
            section = ModelSection(name=name)
            network = build_network(section, size=SIDE, classes=CLASSES, precision=precision)
            times = measure(network, arguments.batch, arguments.steps)
            measured.append({"network": name, "precision": precision, **times})
            stock, ours = (statistics.median(times[way]) for way in ("stock", "tenfold"))
            weights = sum(math.prod(variable.shape) for variable in network.trainable_variables)
            counts = f"{weights:,}", f"{sum(map(multiplications, network.layers)) / 1e6:,.0f}"
            steps = f"{1000 * stock:,.0f}", f"{1000 * ours:,.0f}", f"{stock / ours:.2f}"
            rows.append([name, *counts, precision, *steps])
            keras.backend.clear_session()
    titles = ["network", "weights", "multiplications, million", "precision"]
    titles += ["stock Keras, ms", "Tenfold, ms", "ratio"]
    report.save("networks", report.table(titles, rows), measured)


def measure(network: keras.Model, batch: int, steps: int) -> dict[str, list[float]]:
    """Seconds of each training step, by each way."""
    part = keras.Model(network.inputs[0], network.get_layer("logits").output)
    ours = forward_function(network, "logits")
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
    optimizer.build(network.trainable_variables)
    pictures = tf.random.stateless_normal((batch, SIDE, SIDE, 3), (0, 1))
    labels = tf.one_hot(tf.range(batch) % CLASSES, CLASSES)

    def step_by(forward: Callable[[Any], Any]) -> Any:
        @tf.function
        def step() -> Any:
            with tf.GradientTape() as tape:
                losses = tf.nn.softmax_cross_entropy_with_logits(labels, forward(pictures))
                loss = tf.reduce_mean(losses)
            optimizer.apply(tape.gradient(loss, network.trainable_variables))
            return loss

        return step

    ways = {
        "stock": step_by(lambda pictures: part(pictures, training=True)),
        "tenfold": step_by(lambda pictures: ours(pictures, True)),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(steps + 2):
        for way, step in ways.items():
            began = time.perf_counter()
            step().numpy()
            if number > 1:  # the first ones compile
                times[way].append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    main()
