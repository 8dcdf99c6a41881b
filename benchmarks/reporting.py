"""What the report adds to a training: watching the test, then details, pictures and the page.

    python benchmarks/reporting.py [--pictures 10000] [--repeat 3]

Each repetition is a fresh process in which TensorFlow and Matplotlib are imported and have drawn
something, as they have when a training comes to its report. The predictions are made up, three
quarters of them right. Figures are medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import report

CASES = ((10, 32), (100, 32), (10, 224))
"""Classes, and side of the pictures."""

BATCH = 256


def main() -> None:
    """Run the repetitions, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--once", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(report_once(arguments.pictures, *arguments.once)))
        return
    measured, rows = [], []
    for classes, side in CASES:
        command = [sys.executable, __file__, *sys.argv[1:], "--once", str(classes), str(side)]
        runs = [
            json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            for _ in range(arguments.repeat)
        ]
        medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        measured.append({"classes": classes, "side": side, "runs": runs})
        rows.append(
            [
                f"{arguments.pictures:,}",
                f"{classes}",
                f"{side}x{side}",
                f"{medians['watching']:.2f}",
                f"{medians['leaving']:.2f}",
                f"{medians['again']:.2f}",
                f"{medians['bytes'] / 1e3:,.0f}",
            ]
        )
    titles = [
        "test pictures",
        "classes",
        "size",
        "watching the test, s",
        "details, pictures and page, s",
        "page again, s",
        "page, kB",
    ]
    report.save("reporting", report.table(titles, rows), measured)


def report_once(count: int, classes: int, side: int) -> dict[str, float]:
    """Watch made-up predictions, leave the report of them, and make it again."""
    from tenfold import api  # noqa: F401  # a training has imported it
    from tenfold.augment import Augment  # noqa: F401  # likewise, and TensorFlow with it
    from tenfold.data.dataset import Dataset, Split
    from tenfold.evaluation import Result, draw_curves, evaluate_probabilities, save_result
    from tenfold.evaluation.collect import DetailCollector
    from tenfold.evaluation.report import leave_report, write_report
    from tenfold.files import atomic_write_text
    from tenfold.recipe import load_recipe
    from tenfold.run import Run

    generator = np.random.default_rng(0)
    labels = generator.integers(0, classes, count).astype(np.int32)
    logits = generator.normal(0, 1, (count, classes)).astype(np.float32)
    right = np.flatnonzero(generator.random(count) < 0.75)
    logits[right, labels[right]] += 6
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    images = generator.integers(0, 256, (count, side, side, 3), np.uint8)
    names = tuple(f"class {label}" for label in range(classes))
    everything = np.arange(count)
    splits = [Split(name, images, labels, everything) for name in ("train", "validation", "test")]
    dataset = Dataset("made-up", "npz", "0" * 64, names, side, *splits, skipped=())
    batches = [
        (labels[at : at + BATCH], probabilities[at : at + BATCH]) for at in range(0, count, BATCH)
    ]

    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        atomic_write_text(run.recipe_path, load_recipe("lab-2").to_toml())
        evaluate_probabilities(batches[:1], names)  # pays for imports
        start = time.perf_counter()
        evaluate_probabilities(batches, names)
        plain = time.perf_counter()
        collector = DetailCollector(1.5)
        test = evaluate_probabilities(collector.watch(batches), names)
        watched = time.perf_counter()
        save_result(
            run,
            Result(
                test=test,
                seconds=1.0,
                images_per_second=1.0,
                peak_memory_bytes=1,
                epochs=0,
                steps=0,
                parameters=1,
                precision="float32",
                started="",
                finished="",
            ),
        )
        draw_curves([], run.curves_path, title="", test=test)

        def fail(text: str) -> None:
            raise RuntimeError(text)

        begun = time.perf_counter()
        leave_report(run, dataset, test, collector, title="made-up", warn=fail)
        left = time.perf_counter()
        write_report(run)
        again = time.perf_counter()
        return {
            "watching": max(0.0, (watched - plain) - (plain - start)),
            "leaving": left - begun,
            "again": again - left,
            "bytes": run.report_path.stat().st_size,
        }


if __name__ == "__main__":
    main()
