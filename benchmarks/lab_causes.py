"""What each of the lab's mistakes cost: its settings, mended one at a time.

    python benchmarks/lab_causes.py [SOURCE] [--epochs 3] [--seeds 2] [--minutes 12] [--resume]

Each training is a process of its own. One seed of every step comes before the next, which begins
only while it can be expected to end within the minutes; what is left out, ``--resume`` adds.
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

import lab_plot
import report
from lab_steps import RECIPE, Step, ladder, relapses, write_source
from tenfold import open_dataset


def main() -> None:
    """Train, write the table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", nargs="?", default=str(report.PICTURES))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=12.0, help="for second and later seeds")
    parser.add_argument("--published-steps", type=int, default=10)
    parser.add_argument("--leak-steps", type=int, default=300)
    parser.add_argument("--only", nargs="+", help="names of steps")
    parser.add_argument("--name", default="lab_causes", help="of the files in results/")
    parser.add_argument("--resume", action="store_true", help="keep what was measured before")
    arguments = parser.parse_args()
    ends = time.monotonic() + 60 * arguments.minutes
    kept = _kept(arguments.name) if arguments.resume else {}
    steps = [*ladder(), *relapses()]
    measured = {}
    for step in steps:
        settings = _settings(step, arguments)
        # What was measured with other settings is another measurement.
        results = kept.get((step.name, json.dumps(settings)), [])
        measured[step.name] = {"title": step.title, "settings": settings, "results": results}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TENFOLD_CACHE"] = str(Path(folder) / "cache")  # which goes with the sources
        dataset = open_dataset(arguments.source, validation=0.0)
        sources = {kind: Path(folder) / f"{kind}.npz" for kind in ("mixed", "scrambled")}
        for kind, path in sources.items():
            write_source(dataset, path, scrambled=kind == "scrambled")
        for seed in range(arguments.seeds):
            for step in steps:
                one = measured[step.name]
                if len(one["results"]) > seed or seed >= (step.seeds or arguments.seeds):
                    continue
                if arguments.only and step.name not in arguments.only:
                    continue
                took = max((r["process_seconds"] for r in one["results"]), default=0.0)
                if seed and time.monotonic() + took > ends:
                    continue
                source = sources["scrambled" if step.scrambled else "mixed"]
                one["results"].append(_train(step, source, seed, one["settings"], Path(folder)))
                # Minutes of training must not hang on the last one.
                _save(arguments.name, measured)
    print(lab_plot.draw(measured, report.FOLDER / f"{arguments.name}.svg"))


def _kept(name: str) -> dict[tuple[str, str], list[dict[str, Any]]]:
    if not (report.FOLDER / f"{name}.json").exists():
        return {}
    steps = report.load(name)["measured"].items()
    return {(step, json.dumps(one["settings"])): one["results"] for step, one in steps}


def _settings(step: Step, arguments: argparse.Namespace) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "recipe": RECIPE,
        "overrides": [*step.overrides, f"training.epochs={arguments.epochs}"],
    }
    if step.trains_on_test:
        first = step.name == "published"
        settings["most_steps"] = arguments.published_steps if first else arguments.leak_steps
    return settings


def _train(
    step: Step, source: Path, seed: int, settings: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Train one step with one seed, in a process of its own."""
    began = time.perf_counter()
    train = _by_the_labs_loop if step.trains_on_test else _by_tenfold
    result = train(source, seed, settings, folder / f"run-{step.name}-{seed}")
    return {**result, "process_seconds": time.perf_counter() - began}


def _by_the_labs_loop(source: Path, seed: int, settings: dict[str, Any], _: Path) -> dict[str, Any]:
    loop = str(Path(__file__).with_name("lab_loop.py"))
    command = [sys.executable, loop, str(source), f"--steps={settings['most_steps']}"]
    command += [f"--set={text}" for text in (*settings["overrides"], f"seed={seed}")]
    # The lab's TensorFlow was left to itself; Tenfold, imported here, has switched oneDNN on.
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def _by_tenfold(source: Path, seed: int, settings: dict[str, Any], out: Path) -> dict[str, Any]:
    overrides = (*settings["overrides"], "data.validation=0", f"seed={seed}")
    options = [f"--set={text}" for text in overrides]
    result = report.train(str(source), f"--recipe={RECIPE}", *options, f"--out={out}")
    kept = ("seconds", "steps", "peak_memory_bytes", "precision")
    return {"unseen": result["test"]["accuracy"], **{key: result[key] for key in kept}}


def _save(name: str, measured: dict[str, dict[str, Any]]) -> None:
    titles = [
        "mended",
        "what changed",
        "unseen pictures, mean ± sd",
        "each seed",
        "the lab's “test accuracy”",
        "seconds",
        "peak memory, MB",
    ]
    rows = [_row(step, one) for step, one in measured.items() if one["results"]]
    report.save(name, report.table(titles, rows), measured)


def _row(name: str, one: dict[str, Any]) -> list[str]:
    results = one["results"]
    accuracies = [result["unseen"] for result in results]
    spread = f" ± {statistics.stdev(accuracies):.2%}" if len(accuracies) > 1 else ""
    seconds = statistics.median(result["seconds"] for result in results)
    memory = statistics.median(result["peak_memory_bytes"] for result in results)
    last = results[-1]
    counted = "the same"
    if "test" in last:
        counted = f"{last['test']:.2%}, of {last['test_rows']:,} that it trained on"
    length = ""
    if last["steps"] < last.get("whole_steps", 0):
        length = f" for {last['steps']:,} steps; all {last['whole_steps']:,}: "
        length += f"{last['seconds_a_step'] * last['whole_steps']:,.0f}"
    return [
        {"published": "nothing"}.get(name, name),
        one["title"],
        f"{statistics.mean(accuracies):.2%}{spread}",
        ", ".join(f"{accuracy:.2%}" for accuracy in accuracies),
        counted,
        f"{seconds:,.0f}{length}",
        f"{memory / 1e6:,.0f}",
    ]


if __name__ == "__main__":
    main()
