"""How fast a source becomes a store, and how much memory that takes.

    python benchmarks/prepare.py [SOURCE] [--repeat 3] [--workers N]

Each repetition is a fresh process with an empty cache, and includes everything that a user waits
for after start-up: fingerprint, reading, decoding, writing, and making the files durable. Memory is
the largest sum over the process and its workers. Figures are medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

import report
from tenfold.data.rows import RowReader
from tenfold.data.sources import open_source
from tenfold.data.store import open_store


def main() -> None:
    """Run the repetitions, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", nargs="?", default=str(report.PICTURES))
    parser.add_argument("--size", type=int, help="default: the source's own, or 32")
    parser.add_argument("--workers", type=int, help="default: one for each core")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(prepare_once(arguments.source, arguments.size, arguments.workers)))
        return
    command = [sys.executable, __file__, *sys.argv[1:], "--once"]
    runs = [
        json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        for _ in range(arguments.repeat)
    ]
    medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    titles = [
        "pictures",
        "seconds",
        "pictures/s",
        "peak memory, MB",
        "opened again, ms",
        "gathered at random, µs a picture",
    ]
    row = [
        f"{medians['pictures']:,}",
        f"{medians['seconds']:.2f}",
        f"{medians['pictures_per_second']:,.0f}",
        f"{medians['peak_memory_bytes'] / 1e6:,.0f}",
        f"{1000 * medians['open_again_seconds']:.0f}",
        f"{medians['gather_microseconds_per_picture']:.1f}",
    ]
    report.save("prepare", report.table(titles, [row]), runs)


def prepare_once(name: str, size: int | None, workers: int | None) -> dict[str, float]:
    """Prepare a store in an empty cache, open it again, and gather it once in random order."""
    with tempfile.TemporaryDirectory() as cache:
        source = open_source(name)
        size = size or source.native_size or 32
        with PeakMemory() as memory:
            start = time.perf_counter()
            store = open_store(source, size=size, cache=Path(cache), workers=workers)
            seconds = time.perf_counter() - start
        start = time.perf_counter()
        open_store(source, size=size, cache=Path(cache))
        opened = time.perf_counter() - start
        return {
            "pictures": len(store),
            "seconds": seconds,
            "pictures_per_second": len(store) / seconds,
            "peak_memory_bytes": memory.peak,
            "open_again_seconds": opened,
            "gather_microseconds_per_picture": gather_cost(store.images) * 1e6,
        }


def gather_cost(images: np.ndarray) -> float:
    """Seconds a picture to gather batches of 128 in random order from the store."""
    reader = RowReader(images)
    order = np.random.default_rng(0).permutation(len(images))
    start = time.perf_counter()
    for begin in range(0, len(order), 128):
        reader.read(order[begin : begin + 128])
    return (time.perf_counter() - start) / len(order)


class PeakMemory:
    """The largest sum of resident sizes of this process and its workers, by looking often.

    Resident sizes count shared pages once a process, so that this is an upper bound.
    """

    def __enter__(self) -> PeakMemory:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._stop.wait(0.02):
            total = process.memory_info().rss
            for child in process.children():
                try:
                    total += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, total)


if __name__ == "__main__":
    main()
