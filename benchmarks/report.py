"""What the benchmarks share: running the command line, and writing down what was measured where.

Each benchmark leaves ``results/NAME.json``, with the command, machine, versions, date and commit,
and ``results/NAME.md``, the table that README and docs show.
"""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tenfold import machine

FOLDER = Path(__file__).parent / "results"
ROOT = Path(__file__).parent.parent
PICTURES = ROOT.parent / "shared" / "data" / "cifar10-images.tar.xz"
"""CIFAR-10 as JPEG files, where it lies beside the checkout; give another source as argument."""


def train(*arguments: str) -> dict[str, Any]:
    """Run ``tenfold train`` in a process of its own; the JSON object that it prints."""
    command = [sys.executable, "-m", "tenfold", "train", *arguments, "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def save(name: str, markdown: str, measured: Any) -> None:
    """Write and print what was measured, and where."""
    computer = machine.describe()
    facts = {
        "command": " ".join(["python", *map(_as_elsewhere, sys.argv)]),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "clean": not _git("status", "--porcelain", "--", "src"),
        "machine": asdict(computer),
        "versions": machine.versions(),
        "measured": measured,
    }
    caption = (
        f"\n`{facts['command']}`, {facts['date'][:10]}, commit {facts['commit']}, {computer.cpu}, "
        f"{computer.cores} cores, Python {platform.python_version()}\n"
    )
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (FOLDER / f"{name}.md").write_text(markdown + caption, encoding="utf-8")
    print(markdown + caption)


def load(name: str) -> dict[str, Any]:
    """What `save` wrote."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def _as_elsewhere(argument: str) -> str:
    """An argument without the folders of this machine: paths here say nothing to others."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
