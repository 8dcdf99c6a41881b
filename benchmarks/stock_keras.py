"""Tenfold's network 2 beside stock Keras's: images a second, whole time and memory, side by side.

    python benchmarks/stock_keras.py [SOURCE] [--rows 20000] [--epochs 2] [--repeat 3]

Stock Keras is network 2 as its own layers compute it, float32, batches of 32, RMSProp at 0.001,
pictures and labels as float32 arrays in memory: what a good tutorial does. The two run in turn,
each in a process of its own, on the same pictures, decoded beforehand. A training is counted from
its first step to its last; "whole process" counts imports, compilation and the test too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import report


def main() -> None:
    """Train both in turn, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", nargs="?", default=str(report.PICTURES))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--stock", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stock:
        print(json.dumps(train_stock(arguments.source, arguments.rows, arguments.epochs)))
        return
    from tenfold import open_dataset

    open_dataset(arguments.source, validation=0.0)  # decodes the pictures where they are not yet
    measured: dict[str, list[dict[str, Any]]] = {"stock Keras": [], "Tenfold": []}
    for _ in range(arguments.repeat):
        measured["stock Keras"].append(timed(run_stock, arguments))
        measured["Tenfold"].append(timed(run_tenfold, arguments))
    titles = ["network 2", "images/s", "training, s", "whole process, s", "peak memory, MB"]
    rows = [[name, *(f"{value:,.0f}" for value in medians(of))] for name, of in measured.items()]
    stock, ours = (medians(of) for of in measured.values())
    ratios = [b / a for a, b in zip(stock, ours, strict=True)]
    rows.append(["ratio of medians", *(f"{ratio:.2f}" for ratio in ratios)])
    report.save("stock_keras", report.table(titles, rows), measured)


def run_stock(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train stock Keras in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--stock"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def run_tenfold(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train Tenfold in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        result = report.train(
            arguments.source,
            "--recipe=lab-2",
            f"--rows={arguments.rows}",
            f"--epochs={arguments.epochs}",
            "--set=data.validation=0",
            f"--out={Path(folder) / 'run'}",
        )
    kept = ("seconds", "images_per_second", "peak_memory_bytes")
    return {**{key: result[key] for key in kept}, "accuracy": result["test"]["accuracy"]}


def train_stock(source: str, rows: int, epochs: int) -> dict[str, Any]:
    """Train network 2 as a good tutorial does, and measure it as Tenfold measures itself."""
    # Tenfold switches oneDNN on everywhere, and `report` has imported it; a tutorial does not.
    os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
    import keras
    import numpy as np
    from keras import layers

    from tenfold import machine, open_dataset

    dataset = open_dataset(source, validation=0.0, rows=rows)
    arrays = {}
    for split in (dataset.train, dataset.test):
        pixels, labels = split.gather(np.arange(len(split)))
        arrays[split.name] = (pixels.astype("float32") / 255, labels)
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(32, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            layers.Conv2D(64, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(64, activation="selu"),
            layers.Dropout(0.4),
            layers.Dense(128, activation="selu"),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax"),
        ]
    )
    network.compile(
        keras.optimizers.RMSprop(0.001), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )

    class Clock(keras.callbacks.Callback):  # the same clock as Tenfold's: steps only
        seconds = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.ended = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds += self.ended - self.began

    clock = Clock()
    began = time.perf_counter()
    network.fit(*arrays["train"], batch_size=32, epochs=epochs, verbose=0, callbacks=[clock])
    seconds = time.perf_counter() - began
    _, accuracy = network.evaluate(*arrays["test"], batch_size=256, verbose=0)
    return {
        "seconds": seconds,
        "images_per_second": rows * epochs / clock.seconds,
        "peak_memory_bytes": machine.peak_memory(),
        "accuracy": accuracy,
    }


def timed(function: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """What a function returns, with the wall time that it took."""
    began = time.perf_counter()
    return {**function(arguments), "process_seconds": time.perf_counter() - began}


def medians(results: list[dict[str, Any]]) -> list[float]:
    """Medians in the order of the table's columns; memory in MB."""
    keys = ("images_per_second", "seconds", "process_seconds", "peak_memory_bytes")
    values = [statistics.median(result[key] for result in results) for key in keys]
    return [*values[:-1], values[-1] / 1e6]


if __name__ == "__main__":
    main()
