"""The recipe `fast` beside its peer in PyTorch: time, accuracy and memory on the same pictures.

    python benchmarks/fast.py [SOURCE] --torch PYTHON [--seeds 3] [--peer-epochs 8] [--peer-steps N]
                              [--memory 1.2GB] [--resume]

The peer is `peer_airbench.py`, run by PYTHON, the interpreter of an environment with ``torch`` and
NumPy. The two train in turn, each in a process of its own, on all training pictures; nothing is
held out and nothing is chosen here. Training time is from the first step to the last. Accuracies
are of the test split, of plain pictures and of the mean over six views.

A training of the peer takes long: with ``--peer-steps N`` it stops after N steps, and its time is
that of its median step times the steps of a whole training; its accuracy is then not measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import report

PEER = Path(__file__).with_name("peer_airbench.py")
NAMES = {"fast": "Tenfold, `fast`", "peer": "airbench94 with Muon, PyTorch"}


def main() -> None:
    """Train both in turn, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", nargs="?", default=str(report.PICTURES))
    parser.add_argument("--torch", required=True, metavar="PYTHON", help="has torch and NumPy")
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer-epochs", type=int, default=8)
    parser.add_argument("--peer-steps", type=int, help="stop the peer early, for its time alone")
    parser.add_argument("--memory", default="1.2GB", help="budget of the recipe's trainings")
    parser.add_argument("--resume", action="store_true", help="keep what was measured before")
    arguments = parser.parse_args()
    measured: dict[str, list[dict[str, Any]]] = {"fast": [], "peer": []}
    if arguments.resume:
        measured = report.load("fast")["measured"]
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "arrays.npz"
        write_arrays(arguments.source, arrays)
        for seed in range(arguments.seeds):
            if len(measured["peer"]) <= seed:
                measured["peer"].append(train_peer(arguments, arrays, seed))
            if len(measured["fast"]) <= seed:
                measured["fast"].append(train_ours(arguments, Path(folder) / f"{seed}", seed))
            save(measured)


def write_arrays(source: str, path: Path) -> None:
    """The decoded pictures, as the peer takes them."""
    from tenfold import open_dataset

    dataset = open_dataset(source, validation=0.0)
    arrays = {}
    for split in (dataset.train, dataset.test):
        images, labels = split.gather(np.arange(len(split)))
        arrays |= {f"{split.name}_images": images, f"{split.name}_labels": labels}
    np.savez(path, **arrays)


def train_ours(arguments: argparse.Namespace, out: Path, seed: int) -> dict[str, Any]:
    """One training of the recipe, tested with and without averaged views."""
    options = ["--recipe", arguments.recipe, "--seed", str(seed), "--memory", arguments.memory]
    run = report.train(arguments.source, *options, "--set", "data.validation=0", "--out", str(out))
    command = [sys.executable, "-m", "tenfold", "evaluate", str(out), "--tta", "--json"]
    averaged = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {
        "seconds": run["seconds"],
        "accuracy": run["test"]["accuracy"],
        "averaged_accuracy": averaged["accuracy"],
        "peak_memory_bytes": run["peak_memory_bytes"],
        "precision": run["precision"],
    }


def train_peer(arguments: argparse.Namespace, arrays: Path, seed: int) -> dict[str, Any]:
    """One training of the peer, or its first steps."""
    command = [arguments.torch, str(PEER), str(arrays), "--seed", str(seed)]
    command += ["--epochs", str(arguments.peer_epochs)]
    if arguments.peer_steps:
        command += ["--steps", str(arguments.peer_steps)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    if arguments.peer_steps:
        found["seconds"] = found["seconds_a_step"] * found["steps_of_all"]
    return found


def save(measured: dict[str, list[dict[str, Any]]]) -> None:
    """Write what there is so far."""
    titles = [
        "training", "seconds", "test accuracy, mean ± sd", "averaged views, mean ± sd",
        "each seed, averaged", "peak memory, MB", "precision",
    ]  # fmt: skip
    rows = [row(NAMES[name], runs) for name, runs in measured.items() if runs]
    ours, peers = (median(measured[name], "seconds") for name in ("fast", "peer"))
    rows.append(["ratio of medians", f"{ours / peers:.2f}", "", "", "", "", ""])
    report.save("fast", report.table(titles, rows), measured)


def row(name: str, runs: list[dict[str, Any]]) -> list[str]:
    """One line of the table."""
    tested = [run for run in runs if "accuracy" in run]
    averaged = [run["averaged_accuracy"] for run in tested]
    return [
        name,
        f"{median(runs, 'seconds'):,.0f}",
        spread([run["accuracy"] for run in tested]),
        spread(averaged),
        ", ".join(f"{accuracy:.2%}" for accuracy in averaged) or "—",
        f"{median(runs, 'peak_memory_bytes') / 1e6:,.0f}",
        str(runs[0]["precision"]),
    ]


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    if not values:
        return "—"
    deviation = f" ± {statistics.stdev(values):.2%}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2%}{deviation}"


def median(runs: list[dict[str, Any]], key: str) -> float:
    """Of one figure over the runs."""
    return statistics.median(run[key] for run in runs)


if __name__ == "__main__":
    main()
