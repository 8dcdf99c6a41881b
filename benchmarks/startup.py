"""How long the commands take that a person waits for without expecting to.

    python benchmarks/startup.py [--repeat 20]

Each figure is the median over whole processes, started in turn, from the start of Python to its
end. ``python -c pass`` is what Python itself takes; ``completion`` is a press of Tab after
``tenfold train --recipe lab``. Ten runs are made to be listed, by their recipes alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
from tenfold.recipe import load_recipe

TENFOLD = [sys.executable, "-m", "tenfold"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "tenfold --help": [*TENFOLD, "--help"],
    "tenfold --version": [*TENFOLD, "--version"],
    "tenfold train --help": [*TENFOLD, "train", "--help"],
    "completion": [*TENFOLD, "tenfold train --recipe lab"],
    "tenfold recipes list": [*TENFOLD, "recipes", "list"],
    "tenfold runs list": [*TENFOLD, "runs", "list"],
}


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(10):
            run = Path(folder, "runs", f"run-{number}")
            run.mkdir(parents=True)
            (run / "recipe.toml").write_text(load_recipe("lab-2").to_toml(), encoding="utf-8")
        measured: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for _ in range(arguments.repeat + 1):
            for name, command in COMMANDS.items():
                measured[name].append(seconds(command, folder, completing=name == "completion"))
    rows = []
    for name, times in measured.items():
        del times[0]  # the first may read from disk what the others find in memory
        rows.append([f"`{name}`", f"{1000 * statistics.median(times):.0f}"])
    report.save("startup", report.table(["command", "median, ms"], rows), measured)


def seconds(command: list[str], folder: str, *, completing: bool) -> float:
    """Wall time of one process."""
    env = {**os.environ, **({"_TENFOLD_COMPLETE": "bash"} if completing else {})}
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
