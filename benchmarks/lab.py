"""The lab's networks, or others, on all of CIFAR-10: test accuracy, time and memory over seeds.

    python benchmarks/lab.py [SOURCE] [--seeds 3] [--recipes lab-1 lab-2 lab-2-original] [--resume]
                             [--time 8m] [--name lab]

No picture is held out for validation, so lab-1 and lab-2 train on all 50,000. The recipes were
chosen before, on a validation split; nothing is chosen here. Each training is a process of its own,
as long as its recipe says, or with ``--time`` as long as that allows.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import report
from tenfold.training.time_budget import in_words


def main() -> None:
    """Train, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", nargs="?", default=str(report.PICTURES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", default=["lab-1", "lab-2", "lab-2-original"])
    parser.add_argument("--time", help="a time budget for each training, as in `tenfold train`")
    parser.add_argument("--name", default="lab", help="of the files in results/")
    parser.add_argument("--resume", action="store_true", help="keep what was measured before")
    arguments = parser.parse_args()
    measured: dict[str, list[dict[str, Any]]] = {}
    if arguments.resume:
        measured = report.load(arguments.name)["measured"]
    with tempfile.TemporaryDirectory() as folder:
        # One seed of every recipe before the next, so that a slow hour slows them all.
        for seed in range(arguments.seeds):
            for name in arguments.recipes:
                results = measured.setdefault(name, [])
                if len(results) > seed:
                    continue
                out = str(Path(folder) / f"{name}-{seed}")
                options = ["--recipe", name, "--seed", str(seed), "--set", "data.validation=0"]
                options += ["--time", arguments.time] if arguments.time else []
                results.append(report.train(arguments.source, *options, "--out", out))
                # Paths of this machine say nothing to others.
                results[-1].pop("run")
                _save(arguments.name, measured)


def _save(name: str, measured: dict[str, list[dict[str, Any]]]) -> None:
    """Write what there is so far: hours of training must not hang on the last one."""
    titles = [
        "recipe",
        "epochs",
        "test accuracy, mean ± sd",
        "each seed",
        "seconds",
        "images/s",
        "peak memory, MB",
    ]
    rows = [_row(recipe, results) for recipe, results in measured.items()]
    report.save(name, report.table(titles, rows), measured)


def _length(result: dict[str, Any]) -> str:
    """Epochs, or with a budget the steps that it allowed."""
    if result.get("time_budget") is None:
        return str(result["epochs"])
    return f"{result['steps']:,} steps in {in_words(result['time_budget']['seconds'])}"


def _row(name: str, results: list[dict[str, Any]]) -> list[str]:
    accuracies = [result["test"]["accuracy"] for result in results]
    spread = f" ± {statistics.stdev(accuracies):.2%}" if len(accuracies) > 1 else ""

    def median(key: str) -> float:
        return statistics.median(result[key] for result in results)

    return [
        f"`{name}`",
        _length(results[0]),
        f"{statistics.mean(accuracies):.2%}{spread}",
        ", ".join(f"{accuracy:.2%}" for accuracy in accuracies),
        f"{median('seconds'):,.0f}",
        f"{median('images_per_second'):,.0f}",
        f"{median('peak_memory_bytes') / 1e6:,.0f}",
    ]


if __name__ == "__main__":
    main()
