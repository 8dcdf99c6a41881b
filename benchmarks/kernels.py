"""Gradients that Tenfold computes in its own way, beside TensorFlow's kernels, in turn.

    python benchmarks/kernels.py [--pictures 250] [--rounds 9]

In bfloat16, on noise: 2x2 max pooling, forwards and backwards, and the gradient of a 3x3
convolution's kernel, in the shapes that the network of `fast` has. Figures are medians. The last
column says whether a training takes Tenfold's way, which `tenfold.models.small_maps` decides for
convolutions by their shape.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as tenfold does

import keras
import tensorflow as tf

import report
from tenfold.models import kernels, small_maps

POOLINGS = ((31, 64), (15, 256), (7, 256))
"""Side and channels."""
CONVOLUTIONS = ((31, 24, 64), (15, 64, 64), (15, 64, 256), (7, 256, 256), (3, 256, 256))
"""Side, channels in, channels out."""

Function = Callable[..., Any]


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    measured = []
    for side, channels in POOLINGS:
        x = noise(arguments.pictures, side, side, channels)
        stock, own = in_turn(
            [gradient(stock_pool, x), gradient(kernels.max_pool, x)], arguments.rounds
        )
        measured.append(
            {
                "gradient": f"2x2 max pooling, both ways, {side}x{side}, {channels} channels",
                "stock": stock,
                "own": own,
                "taken": True,
            }
        )
    for side, before, after in CONVOLUTIONS:
        x = noise(arguments.pictures, side, side, before)
        kernel = noise(3, 3, before, after)
        stock, own = in_turn(
            [
                gradient(of_kernel(convolution, x), kernel)
                for convolution in (stock_conv, kernels.conv2d)
            ],
            arguments.rounds,
        )
        measured.append(
            {
                "gradient": f"3x3 kernel, {side}x{side}, {before} to {after} channels",
                "stock": stock,
                "own": own,
                "taken": is_taken(before, after, x),
            }
        )
    rows = [
        [
            one["gradient"],
            f"{1000 * one['stock']:.1f}",
            f"{1000 * one['own']:.1f}",
            f"{one['stock'] / one['own']:.2f}",
            "yes" if one["taken"] else "no",
        ]
        for one in measured
    ]
    titles = [
        f"gradient, {arguments.pictures} pictures",
        "stock, ms",
        "Tenfold, ms",
        "ratio",
        "taken",
    ]
    report.save("kernels", report.table(titles, rows), measured)


def noise(*shape: int) -> Any:
    """A bfloat16 tensor."""
    return tf.cast(tf.random.stateless_normal(shape, (0, 1)), tf.bfloat16)


def stock_pool(x: Any) -> Any:
    """TensorFlow's pooling."""
    return tf.nn.max_pool2d(x, 2, 2, "VALID")


def stock_conv(x: Any, kernel: Any) -> Any:
    """TensorFlow's convolution."""
    return tf.nn.conv2d(x, kernel, 1, "SAME")


def of_kernel(convolution: Function, x: Any) -> Function:
    """The convolution of fixed pictures."""
    return lambda kernel: convolution(x, kernel)


def is_taken(before: int, after: int, x: Any) -> bool:
    """Whether a layer without bias and activation is computed in Tenfold's way."""
    layer = keras.layers.Conv2D(after, 3, padding="same", use_bias=False, dtype="mixed_bfloat16")
    layer.build((None, None, None, before))
    return small_maps.has_small_maps(layer, x)


def gradient(function: Function, x: Any) -> Callable[[], Any]:
    """Computes the gradient by ``x`` as a training does, compiled, and nothing it has no need of.

    That leaves a convolution's output out, and the gradient by its pictures; pooling must be
    computed forwards, too.
    """
    upstream = noise(*function(x).shape)

    @tf.function  # type: ignore[untyped-decorator]
    def compiled(x: Any, upstream: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x, output_gradients=upstream)

    return lambda: compiled(x, upstream)


def in_turn(tasks: list[Callable[[], Any]], rounds: int) -> list[float]:
    """The median seconds of each."""
    seconds: list[list[float]] = [[] for _ in tasks]
    for task in tasks:
        task()  # the first one compiles
    for _ in range(rounds):
        for task, taken in zip(tasks, seconds, strict=True):
            began = time.perf_counter()
            task()[0, 0].numpy()
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in seconds]


if __name__ == "__main__":
    main()
