"""Trainings under a memory budget, watched from outside: one that exceeds it is ended, and fails.

    python benchmarks/memory.py [SOURCE] [--budget 1.5GB] [--pictures 1000000]

Trains lab-2 on SOURCE with its own batches, and with batches of 4,096 that do not fit; fast to
its end on 10,000 pictures of it; ResNet-18 on 2,000, with half a gigabyte more; and lab-1 for one
epoch on a made-up source of a million pictures. The resident size of the process is read every few
milliseconds, and its own record of the peak at the end. Leaves with 1 where a training exceeded its
budget.
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
import psutil

import report
from tenfold import machine, open_dataset

_BLOCK = 10_000
_SIZE = 16  # side of the made-up pictures
_MORE = 500_000_000  # bytes, for the largest network


def main() -> int:
    """Train each, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", nargs="?", default=str(report.PICTURES))
    parser.add_argument("--budget", default="1.5GB")
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, default=1, help="of the trainings on SOURCE")
    arguments = parser.parse_args()
    budget = machine.parse_memory(arguments.budget)
    open_dataset(arguments.source)  # decodes the pictures where they are not yet
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        many = Path(folder) / "many.npz"
        write_pictures(many, arguments.pictures)
        epochs = f"--epochs={arguments.epochs}"
        large = "--set=training.batch_size=4096"
        source = arguments.source
        few = ("--recipe=resnet-18", "--rows=2000", "--test-rows=1000", "--epochs=1")
        for name, allowed, *command in (
            ("lab-2", budget, source, "--recipe=lab-2", epochs),
            ("lab-2, batches of 4,096", budget, source, "--recipe=lab-2", epochs, large),
            ("fast", budget, source, "--recipe=fast", "--rows=10000"),
            ("resnet-18", budget + _MORE, source, *few),
            ("lab-1, made-up pictures", budget, str(many), "--recipe=lab-1", "--epochs=1"),
        ):
            out = Path(folder) / f"run-{len(measured)}"
            watched = watch([*command, f"--memory={allowed}", f"--out={out}"], allowed)
            facts = json.loads((out / "environment.json").read_text(encoding="utf-8"))
            splits = json.loads((out / "source.json").read_text(encoding="utf-8"))["splits"]
            measured.append(
                {"name": name, "budget": allowed, **watched, **facts["portions"], **splits}
            )
    titles = ["training", "pictures", "at a time", "peak memory, MB", "budget, MB", "images/s"]
    rows = [
        [
            one["name"],
            f"{one['train']:,}",
            f"{one['training']:,}",
            f"{one['peak'] / 1e6:,.0f}",
            f"{one['budget'] / 1e6:,.0f}",
            f"{one['images_per_second']:,.0f}" if one["kept"] else "exceeded",
        ]
        for one in measured
    ]
    measured_all = {"budget": budget, "trainings": measured}
    report.save("memory", report.table(titles, rows), measured_all)
    return 0 if all(one["kept"] for one in measured) else 1


def watch(arguments: list[str], budget: int) -> dict[str, Any]:
    """Train in a process of its own, and end it where it exceeds the budget."""
    command = [sys.executable, "-m", "tenfold", "train", *arguments, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        if peak > budget:
            process.kill()
        psutil.wait_procs([watched], timeout=0.005)
    out, _ = process.communicate()
    if process.returncode:
        return {"peak": peak, "kept": False, "images_per_second": None}
    result = json.loads(out)
    peak = max(peak, result["peak_memory_bytes"])
    return {
        "peak": peak,
        "kept": peak <= budget,
        "images_per_second": result["images_per_second"],
        "seconds": result["seconds"],
    }


def write_pictures(path: Path, count: int) -> None:
    """Write an .npz file of noise whose brightness tells its class, a block at a time."""
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        for name, number in (("train", count), ("test", 10_000)):
            labels = np.arange(number) % 10
            with archive.open(f"x_{name}.npy", "w", force_zip64=True) as member:
                header = {
                    "descr": "|u1",
                    "fortran_order": False,
                    "shape": (number, _SIZE, _SIZE, 3),
                }
                np.lib.format.write_array_header_1_0(member, header)
                for start in range(0, number, _BLOCK):
                    block = labels[start : start + _BLOCK]
                    noise = random.integers(0, 100, (len(block), _SIZE, _SIZE, 3), np.uint8)
                    pixels = noise + (15 * block).astype(np.uint8)[:, None, None, None]
                    member.write(pixels.tobytes())
            with archive.open(f"y_{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, labels)


if __name__ == "__main__":
    sys.exit(main())
