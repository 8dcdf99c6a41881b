"""What is promised of trainings and files, beside what was measured of it: one table for README.

    python tests/faults/kill.py --kills 200 > kill.log
    python tests/fuzz/run.py --inputs 500000 > fuzz.log
    python -m pytest -q tests/faults > faults.log
    python benchmarks/promises.py kill.log fuzz.log faults.log
    python benchmarks/readme.py

Takes the figures out of what those commands printed, and out of the results of `checkpoint.py`,
`memory.py` and `serve_soak.py`. A row of which nothing was measured is left out.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import report

_KILLS = re.compile(
    r"^(\d+) of (\d+) ended in the same bits; killed (.+); (\d+) minutes$", re.MULTILINE
)
_FUZZ = re.compile(
    r"^\| \*\*all\*\*" + r" \| ([\d,]+)" * 4 + r" \|.*\| ([\d,]+) \| ([\d,]+) \|$", re.MULTILINE
)


_FAULTS = re.compile(r"^(\d+) passed(?:, \d+ skipped)? in ", re.MULTILINE)


def main() -> None:
    """Keep what the logs say, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logs", nargs="*", type=Path, help="what those commands printed")
    for path in parser.parse_args().logs:
        keep(path.read_text(encoding="utf-8"))
    path = report.FOLDER / "promises.md"
    path.write_text(report.table(["promise", "measured", "command"], list(rows())), "utf-8")
    print(path.read_text(encoding="utf-8"))


def keep(log: str) -> None:
    """Save the figures of one log as a benchmark does.

    Raises:
        SystemExit: it is the log of none of the commands, or of one that did not come to its end.
    """
    command = list(sys.argv)
    if found := _KILLS.search(log):
        same, kills, places, minutes = found.groups()
        recipes = dict.fromkeys(re.findall(r"^ *\d+ of \d+: (\S+) ", log, re.MULTILINE))
        sys.argv = ["tests/faults/kill.py", "--kills", kills, "--recipes", *recipes]
        measured: dict[str, Any] = {
            "same": int(same), "kills": int(kills), "places": places, "minutes": int(minutes)
        }  # fmt: skip
        report.save("kill", found[0] + "\n", measured)
    elif found := _FUZZ.search(log):
        names = ("inputs", "refused", "accepted", "defects", "slowest_ms", "memory_mb")
        measured = {n: int(value.replace(",", "")) for n, value in zip(names, found.groups())}  # noqa: B905
        sys.argv = ["tests/fuzz/run.py", "--inputs", str(round(measured["inputs"], -3))]
        report.save("fuzz", log[log.index("| reader") : found.end()] + "\n", measured)
    elif found := _FAULTS.search(log):
        sys.argv = ["-m", "pytest", "-q", "tests/faults"]
        table = (report.ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
        faults = sum(line.startswith("| ") for line in table.splitlines()) - 1
        report.save("faults", found[0] + "\n", {"tests": int(found[1]), "faults": faults})
    else:
        sys.exit("this is not what kill.py, run.py or pytest print at a good end")
    sys.argv = command


def rows() -> Iterator[list[str]]:
    """The rows of which there are results."""
    for name, promise, words in _ROWS:
        if (report.FOLDER / f"{name}.json").exists():
            facts = report.load(name)
            yield [promise, words(facts["measured"]), f"`{facts['command']}`"]


def _kill(measured: Mapping[str, Any]) -> str:
    return f"{measured['same']} of {measured['kills']} (killed {measured['places']})"


def _checkpoint(measured: Mapping[str, Any]) -> str:
    parts = []
    for name in ("lab-2", "digits"):
        one = measured[name]
        share, each = one["seconds"] / one["training_seconds"], one["seconds"] / one["count"]
        parts.append(f"{share:.2%} of {name} ({one['count']} of {each * 1000:.0f} ms)")
    return "; ".join(parts)


def _memory(measured: Mapping[str, Any]) -> str:
    def used(one: Mapping[str, Any]) -> str:
        return f"{one['name']} {one['peak'] / 1e6:,.0f} of {one['budget'] / 1e6:,.0f} MB"

    return "; ".join(used(one) for one in measured["trainings"])


def _faults(measured: Mapping[str, Any]) -> str:
    return f"{measured['tests']} tests pass; docs/faults.md has {measured['faults']} faults"


def _fuzz(measured: Mapping[str, Any]) -> str:
    return (
        f"{measured['defects']} defects in {measured['inputs']:,} inputs; the slowest took "
        f"{measured['slowest_ms']:,} ms, and memory rose by {measured['memory_mb']:,} MB"
    )


def _serve_soak(measured: Mapping[str, Any]) -> str:
    statuses: Mapping[str, int] = measured["statuses"]
    wrong = sum(n for status, n in statuses.items() if status[0] == "5" and status != "503")
    total = sum(statuses.values())
    return f"{measured['growth']:+.1%} memory, {wrong} such answers of {total:,}"


_ROWS: tuple[tuple[str, str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("kill", "A training that is killed goes on, and ends in the same bits", _kill),
    ("checkpoint", "What it needs for that costs little", _checkpoint),
    ("memory", "A training keeps to its memory budget", _memory),
    ("faults", "A full disk, a lost folder, a signal or a broken loss cost one line", _faults),
    ("fuzz", "A damaged file is read or refused in one line, in bounded time and memory", _fuzz),
    ("serve_soak", "The server does not grow, and answers with no 5xx but 503", _serve_soak),
)


if __name__ == "__main__":
    main()
