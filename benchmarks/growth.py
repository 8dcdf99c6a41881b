"""Time and peak memory of an epoch when the training split grows: the same pictures, repeated.

    python benchmarks/growth.py [SOURCE] [--times 1 2 10] [--recipe lab-2]

Trains one epoch on each. The sources are .npz files of the same pictures, that many times, written
and read in blocks. Preparation happens beforehand in a process of its own, and is measured too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import report
from tenfold import Dataset, machine, open_dataset

_BLOCK = 1000


def main() -> None:
    """Write the sources, train on each, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", nargs="?", default=str(report.PICTURES))
    parser.add_argument("--times", type=int, nargs="+", default=[1, 2, 10])
    parser.add_argument("--recipe", default="lab-2")
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        open_dataset(arguments.prepare, validation=0.0)
        print(json.dumps(machine.peak_memory()))
        return
    dataset = open_dataset(arguments.source, validation=0.0)
    measured: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for times in arguments.times:
            path = Path(folder) / f"{times}.npz"
            write_repeated(dataset, path, times)
            command = [sys.executable, __file__, "--prepare", str(path)]
            preparing = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            result = report.train(
                str(path),
                f"--recipe={arguments.recipe}",
                "--epochs=1",
                "--set=data.validation=0",
                f"--out={Path(folder) / f'run-{times}'}",
            )
            measured.append(
                {
                    "pictures": len(dataset.train) * times,
                    "preparing_peak_memory_bytes": json.loads(preparing),
                    "peak_memory_bytes": result["peak_memory_bytes"],
                    "seconds": result["seconds"],
                    "images_per_second": result["images_per_second"],
                }
            )
    first = measured[0]["peak_memory_bytes"]
    rows = [
        [
            f"{one['pictures']:,}",
            f"{one['seconds']:,.0f}",
            f"{1e3 * one['seconds'] / one['pictures']:.2f}",
            f"{one['peak_memory_bytes'] / 1e6:,.0f}",
            f"{one['peak_memory_bytes'] / first - 1:+.1%}",
            f"{one['preparing_peak_memory_bytes'] / 1e6:,.0f}",
        ]
        for one in measured
    ]
    titles = ["training pictures", "seconds", "ms a picture"]
    titles += ["peak memory, MB", "growth", "preparing, MB"]
    report.save("growth", report.table(titles, rows), measured)


def write_repeated(dataset: Dataset, path: Path, times: int) -> None:
    """Write a dataset as .npz, its training pictures repeated, a block at a time."""
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        for split, repeat in ((dataset.train, times), (dataset.test, 1)):
            count = len(split) * repeat
            with archive.open(f"x_{split.name}.npy", "w", force_zip64=True) as member:
                shape = (count, *split.images.shape[1:])
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                for start in range(0, count, _BLOCK):
                    positions = np.arange(start, min(start + _BLOCK, count)) % len(split)
                    member.write(split.gather(positions)[0].tobytes())
            labels = np.tile(split.labels[split.indices], repeat)
            with archive.open(f"y_{split.name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, labels)


if __name__ == "__main__":
    main()
