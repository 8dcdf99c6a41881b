"""Accuracy by the time that a training may take, and how well it keeps to that time.

    python benchmarks/time_budget.py [SOURCE] [--recipe fast] [--budgets 1m 3m 10m] [--seeds 1]

Each training is a process of its own. Pictures are decoded beforehand, which does not count.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import report
from tenfold import open_dataset
from tenfold.training.time_budget import in_words, parse_time


def main() -> None:
    """Train, and write the table and the plot."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", nargs="?", default=str(report.PICTURES))
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--budgets", nargs="+", default=["1m", "3m", "10m"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--name", default="time_budget", help="of the files in results/")
    arguments = parser.parse_args()
    open_dataset(arguments.source)
    measured: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            for budget in sorted(arguments.budgets, key=parse_time):
                options = [f"--recipe={arguments.recipe}", f"--time={budget}", f"--seed={seed}"]
                out = str(Path(folder) / f"{budget}-{seed}")
                result = report.train(arguments.source, *options, "--out", out)
                result.pop("run")
                measured.setdefault(budget, []).append(result)
    titles = ["budget", "test accuracy", "seconds used", "over or under", "epochs", "steps"]
    rows = [_row(results) for results in measured.values()]
    report.save(arguments.name, report.table(titles, rows), measured)
    _draw(arguments.name, arguments.recipe, measured)


def _row(results: list[dict[str, Any]]) -> list[str]:
    budget = results[0]["time_budget"]["seconds"]
    used = statistics.median(result["time_budget"]["used"] for result in results)
    return [
        in_words(budget),
        ", ".join(f"{result['test']['accuracy']:.2%}" for result in results),
        f"{used:,.1f}",
        f"{used / budget - 1:+.1%}",
        ", ".join(str(result["epochs"]) for result in results),
        ", ".join(f"{result['steps']:,}" for result in results),
    ]


def _draw(name: str, recipe: str, measured: dict[str, list[dict[str, Any]]]) -> None:
    """Accuracy, with its interval, against the budget."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    points = [result for results in measured.values() for result in results]
    minutes = [result["time_budget"]["seconds"] / 60 for result in points]
    accuracies = [100 * result["test"]["accuracy"] for result in points]
    bounds = [[100 * end for end in result["test"]["interval"]] for result in points]
    below = [accuracy - low for accuracy, (low, _) in zip(accuracies, bounds, strict=True)]
    above = [high - accuracy for accuracy, (_, high) in zip(accuracies, bounds, strict=True)]
    axes.errorbar(minutes, accuracies, (below, above), marker="o", capsize=3, linestyle="none")
    means = [
        (
            results[0]["time_budget"]["seconds"] / 60,
            100 * statistics.mean(result["test"]["accuracy"] for result in results),
        )
        for results in measured.values()
    ]
    axes.plot(*zip(*means, strict=True), color="C0", alpha=0.5)
    axes.set_xscale("log")
    axes.set_xticks(sorted(set(minutes)), [f"{minute:g}" for minute in sorted(set(minutes))])
    axes.minorticks_off()
    axes.set_xlabel("time budget, minutes")
    axes.set_ylabel("test accuracy, %, with its 95% interval")
    axes.set_title(f"{recipe}: accuracy by time")
    axes.grid(alpha=0.3)
    for suffix in ("png", "svg"):
        figure.savefig(report.FOLDER / f"{name}.{suffix}", dpi=150)


if __name__ == "__main__":
    main()
