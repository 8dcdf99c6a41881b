"""How model.onnx is written, and how fast ONNX Runtime computes it.

    python benchmarks/export_onnx.py [--rounds 5] [--pictures 2048]

Three writers, each in a process of its own, on network 2 and on one of 50 million weights: that of
Tenfold, tf2onnx, and Keras's ``model.export(format="onnx")``, which is tf2onnx behind a door. Its
memory is the largest resident size while writing, less the size before; its noise, lines on stderr.
Keras's export knows neither pixels nor calibration, so it is not asked for its probabilities.

Then network 2 as Tenfold and as tf2onnx write it, in batches of several sizes. The files are
measured in turn, and each figure is the best round: other work can only slow one down.

tf2onnx comes with the extra ``dev``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import onnxruntime as ort

import report
from tenfold import machine
from tenfold.serving.export.facts import INPUT, Facts
from tenfold.serving.predictor import Predictor

WRITERS = ("tenfold", "tf2onnx", "keras")
NETWORKS = ("lab-2", "50 million weights")
BATCHES = (1, 4, 16, 64, 256)
SIDE, CLASSES = 32, 10
FACTS = Facts(
    class_names=tuple("0123456789"),
    size=SIDE,
    offset=(125.0, 123.0, 114.0),
    scale=(63.0, 62.0, 67.0),
    temperature=1.3,
    recipe="",
    version="0",
)


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=2048, help="in each measurement")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        writer, network, path = arguments.child
        print(json.dumps(write(writer, network, Path(path))))
        return
    with tempfile.TemporaryDirectory() as folder:
        written = [
            in_a_process(writer, network, Path(folder) / f"{writer}-{NETWORKS.index(network)}.onnx")
            for network in NETWORKS
            for writer in WRITERS
        ]
        rows = [
            [
                run["network"],
                run["writer"],
                f"{run['seconds']:.2f}",
                f"{run['memory'] / 1e6:,.0f}",
                f"{run['bytes'] / 1e6:,.1f}",
                str(run["nodes"]),
                "" if run["difference"] is None else f"{run['difference']:.1e}",
                str(run["noise"]),
            ]
            for run in written
        ]
        titles = ["network", "writer", "seconds", "memory, MB", "file, MB", "nodes"]
        titles += ["largest difference", "lines of noise"]
        report.save("export_onnx_writers", report.table(titles, rows), written)

        files = {name: Path(folder) / f"{name}-0.onnx" for name in ("tenfold", "tf2onnx")}
        speeds = measure(files, arguments.rounds, arguments.pictures)
    rows = [[name, *(f"{speeds[name][str(size)]:,.0f}" for size in BATCHES)] for name in speeds]
    titles = ["pictures/s in batches of", *map(str, BATCHES)]
    report.save("export_onnx_speed", report.table(titles, rows), speeds)


def in_a_process(writer: str, network: str, path: Path) -> dict[str, Any]:
    """What `write` measures, and how many lines it printed where nothing should be."""
    command = [sys.executable, __file__, "--child", writer, network, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured = json.loads(done.stdout.splitlines()[-1])
    return {**measured, "noise": len([line for line in done.stderr.splitlines() if line.strip()])}


def write(writer: str, name: str, path: Path) -> dict[str, Any]:
    """Write a network, and compare what was written with it."""
    import keras
    import onnx

    from tenfold.models.predict import predictor

    network = build(name)
    pixels = np.random.default_rng(0).integers(0, 256, (64, SIDE, SIDE, 3), np.uint8)
    expected = predictor(network, normalize, temperature=FACTS.temperature)(pixels)
    network(np.zeros((1, SIDE, SIDE, 3), np.float32))  # Keras exports only what was called
    import tenfold.serving.export.onnx as own

    if writer != "tenfold":
        import tf2onnx  # imported by all three before the clock starts
    before, began = reset_peak(), time.perf_counter()
    if writer == "tenfold":
        own.write_onnx(network, FACTS, path)
    elif writer == "tf2onnx":
        import tensorflow as tf

        logits = keras.Model(network.inputs[0], network.get_layer("logits").output)
        function = tf.function(
            lambda pixels: tf.nn.softmax(
                logits(normalize(tf.cast(pixels, tf.float32)), training=False) / FACTS.temperature
            ),
            input_signature=[tf.TensorSpec((None, SIDE, SIDE, 3), tf.uint8, name=INPUT)],
        )
        tf2onnx.convert.from_function(
            function, function.input_signature, opset=own.OPSET, output_path=str(path)
        )
    else:
        network.export(path, format="onnx", verbose=False)
    seconds, memory = time.perf_counter() - began, machine.peak_memory() - before
    difference = None
    if writer == "tenfold":
        difference = float(np.abs(Predictor(path).predict(pixels) - expected).max())
    elif writer == "tf2onnx":
        [found] = session(path).run(None, {INPUT: pixels})
        difference = float(np.abs(found - expected).max())
    return {
        "writer": writer,
        "network": name,
        "seconds": seconds,
        "memory": memory,
        "bytes": path.stat().st_size,
        "nodes": len(onnx.load(path).graph.node),
        "difference": difference,
    }


def build(name: str) -> Any:
    """The network of that name, batch normalization and biases away from their start."""
    import keras

    from tenfold.models import build_network
    from tenfold.recipe import ModelSection

    if name == "lab-2":
        network = build_network(ModelSection(), size=SIDE, classes=CLASSES)
    else:
        x = inputs = keras.Input((SIDE, SIDE, 3))
        x = keras.layers.Flatten()(x)
        for units in (4096, 4096, 4096):
            x = keras.layers.Dense(units, "relu")(x)
        x = keras.layers.Dense(CLASSES, name="logits")(x)
        network = keras.Model(inputs, keras.layers.Softmax(name="probabilities")(x))
    random = np.random.default_rng(0)
    for variable in network.weights:
        if variable.dtype == "float32" and len(variable.shape) == 1:
            variable.assign(variable + 0.1 * np.abs(random.normal(size=variable.shape)))
    return network


def normalize(pictures: Any) -> Any:
    """As the facts say."""
    from tenfold.data.normalization import Normalization

    return Normalization(FACTS.offset, FACTS.scale).apply(pictures)


def reset_peak() -> int:
    """Make the kernel forget the largest resident size; the size now."""
    Path("/proc/self/clear_refs").write_text("5")
    return machine.peak_memory()


def session(path: Path) -> ort.InferenceSession:
    """As `Predictor` opens one."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = machine.usable_cores()
    options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def measure(files: dict[str, Path], rounds: int, pictures: int) -> dict[str, dict[str, float]]:
    """Pictures a second by file and size of batch; `Predictor` itself, in its own batches, too."""
    pixels = np.random.default_rng(0).integers(0, 256, (pictures, SIDE, SIDE, 3), np.uint8)
    best: dict[str, dict[str, float]] = {name: {} for name in files}
    sessions = {name: session(path) for name, path in files.items()}
    for round_ in range(rounds + 1):
        for size in BATCHES:
            for name, opened in sessions.items():
                given = opened.get_inputs()[0].name
                count = pictures if size >= 16 else pictures // 8
                began = time.perf_counter()
                for at in range(0, count, size):
                    opened.run(None, {given: pixels[at : at + size]})
                speed = count / (time.perf_counter() - began)
                if round_:  # the first one prepares
                    best[name][str(size)] = max(speed, best[name].get(str(size), 0.0))
    return best


if __name__ == "__main__":
    main()
