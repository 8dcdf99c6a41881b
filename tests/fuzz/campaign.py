"""Many hostile files for every reader, in processes that are watched from outside."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from .readers import READERS
from .worker import SLOT, TALLY, Job, find, make_input

HANG = 5.0
"""The most processor time that one input may take, seconds."""

WAIT = 20.0
"""The longest that one input may take by the clock, seconds, waiting for a core not counted: other
work may share the machine."""

_ROOT = Path(__file__).parents[2]
_BATCH = 25_000  # inputs of one job


@dataclass
class Outcome:
    """What came of a reader's inputs."""

    inputs: int = 0
    seconds: float = 0.0
    refused: int = 0
    accepted: int = 0
    defects: int = 0
    slowest: float = 0.0
    rise: int = 0
    found: list[dict[str, object]] = field(default_factory=list)

    def add(self, tally: tuple[int, int, int, float, float, int]) -> None:
        """Take in what came of some of the inputs."""
        refused, accepted, defects, seconds, slowest, rise = tally
        self.refused += refused
        self.accepted += accepted
        self.defects += defects
        self.seconds += seconds
        self.slowest = max(self.slowest, slowest)
        self.rise = max(self.rise, rise)


class Campaign:
    """Inputs for readers, shared between processes.

    Args:
        kept: the folder for files that reproduce a defect.
        seed: another seed gives other inputs.
        jobs: how many processes read at the same time.
    """

    def __init__(self, kept: Path, seed: int, jobs: int) -> None:
        self._kept = kept
        self._seed = seed
        self._jobs = jobs

    def run(self, inputs: dict[str, int]) -> dict[str, Outcome]:
        """Read so many inputs with each reader."""
        self._kept.mkdir(parents=True, exist_ok=True)
        outcomes = {name: Outcome(count) for name, count in inputs.items()}
        with ThreadPoolExecutor(self._jobs) as threads:
            for jobs in threads.map(lambda jobs: self._read(jobs, outcomes), self._shared(inputs)):
                for name in dict(jobs):
                    _say(f"{name}: {outcomes[name].refused + outcomes[name].accepted} read")
        return outcomes

    def _shared(self, inputs: dict[str, int]) -> list[list[Job]]:
        """The jobs of each process: short ones share one, for starting it takes a second."""
        jobs = [
            (name, range(start, min(start + _BATCH, count)))
            for name, count in inputs.items()
            for start in range(0, count, _BATCH)
        ]
        cost = {name: 1 / find(name).share for name in inputs}
        whole = sum(len(numbers) * cost[name] for name, numbers in jobs)
        most = min(whole / self._jobs, _BATCH)
        shared: list[list[Job]] = []
        spent = most
        # The longest first, so that none is left alone at the end.
        for job in sorted(jobs, key=lambda job: -len(job[1]) * cost[job[0]]):
            if spent >= most:
                shared.append([])
                spent = 0.0
            shared[-1].append(job)
            spent += len(job[1]) * cost[job[0]]
        return shared

    def _read(self, jobs: list[Job], outcomes: dict[str, Outcome]) -> list[Job]:
        """Read the inputs of some jobs; a process that hangs or dies is followed by another."""
        left = jobs
        while left:
            ended = self._process(left, outcomes)
            if ended is None:
                break
            index, stopped, reason = ended
            name, numbers = left[index]
            if reason == "hang":  # once more, in case the machine was at fault
                alone = self._process([(name, range(stopped, stopped + 1))], outcomes)
                reason = "" if alone is None else alone[2]
            if reason:
                reader = find(name)
                hostile = make_input(reader, reader.seeds(), self._seed, stopped)
                path = self._kept / f"{name}-{self._seed}-{stopped}-{Path(hostile.name).name}"
                path.write_bytes(hostile.content)
                outcomes[name].found.append(
                    {"reader": name, "number": stopped, "defect": reason, "detail": "",
                     "file": path.name}
                )  # fmt: skip
                outcomes[name].defects += 1
            rest = range(stopped + 1, numbers.stop)
            left = [*([(name, rest)] if rest else []), *left[index + 1 :]]
        return jobs

    def _process(
        self, jobs: list[Job], outcomes: dict[str, Outcome]
    ) -> tuple[int, int, str] | None:
        """Read inputs in a process; where it did not come to its end, at which, and why."""
        with tempfile.TemporaryDirectory(dir=_memory_folder()) as scratch:
            parts = ("folder", "outside", "slot", "report", "stderr")
            folder, outside, slot, report, stderr = (Path(scratch, part) for part in parts)
            folder.mkdir()
            outside.mkdir()
            slot.write_bytes(SLOT.pack(0, -1, 0.0, 0.0) + bytes(TALLY.size * len(jobs)))
            report.touch()
            places = map(str, (folder, slot, report, self._kept.resolve()))
            command = [sys.executable, "-m", "tests.fuzz.worker", str(self._seed), *places]
            for name, numbers in jobs:
                command += [name, str(numbers.start), str(numbers.stop)]
            with (
                stderr.open("wb") as errors,
                subprocess.Popen(
                    command,
                    cwd=outside,
                    env=_environment(outside) | {"FUZZ_SLOT": str(slot)},
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                ) as process,
            ):
                index, at, reason = _watch(process, slot)
            if reason == "" and process.returncode:
                reason = f"died with {process.returncode}"
            if reason and at < 0:
                said = stderr.read_text(errors="replace")
                raise RuntimeError(f"{jobs[index][0]}: {reason} before the first input\n{said}")
            tallies = TALLY.iter_unpack(slot.read_bytes()[SLOT.size :])
            for (name, _), tally in zip(jobs, tallies, strict=True):
                outcomes[name].add(tally)
            for line in map(json.loads, report.read_text().splitlines()):
                outcomes[line["reader"]].found.append(line)
            return (index, at, reason) if reason else None


def _watch(process: subprocess.Popen[bytes], slot: Path) -> tuple[int, int, str]:
    """Wait for the end; the job and input that came last, and ``hang`` where it took too long."""
    watched = psutil.Process(process.pid)
    seen, waited = (-1, -1), 0.0
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
        index, at, began, used = SLOT.unpack_from(slot.read_bytes())
        if process.returncode is not None:
            return index, at, ""
        if (index, at) != seen:
            seen, waited = (index, at), _waited(process.pid)
        if not began:
            continue
        with suppress(psutil.NoSuchProcess):
            times = watched.cpu_times()
            used = times.user + times.system - used
        lost = _waited(process.pid) - waited
        if used > HANG or time.monotonic() - began - lost > WAIT:
            process.kill()
            process.wait()
            return index, at, "hang"


def _waited(pid: int) -> float:
    """Seconds that a process was ready and had no core; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _memory_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _environment(outside: Path) -> dict[str, str]:
    path = os.pathsep.join([str(_ROOT), str(_ROOT / "src")])
    return {
        **os.environ,
        "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0",
        "HOME": str(outside), "TMPDIR": str(outside), "XDG_CACHE_HOME": str(outside),
        "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1",
    }  # fmt: skip


def share_out(total: int, names: Sequence[str]) -> dict[str, int]:
    """Inputs for each reader, by the readers' shares, at least one each."""
    whole = sum(READERS[name].share for name in names)
    return {name: max(1, round(total * READERS[name].share / whole)) for name in names}


def table(outcomes: dict[str, Outcome]) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield "| reader | inputs | refused | accepted | defects | seconds | slowest, ms | memory, MB |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    whole = Outcome()
    for name, outcome in outcomes.items():
        yield _row(name, outcome)
        for part in ("inputs", "refused", "accepted", "defects", "seconds"):
            setattr(whole, part, getattr(whole, part) + getattr(outcome, part))
        whole.slowest = max(whole.slowest, outcome.slowest)
        whole.rise = max(whole.rise, outcome.rise)
    yield _row("**all**", whole)


def _row(name: str, outcome: Outcome) -> str:
    return (
        f"| {name} | {outcome.inputs:,} | {outcome.refused:,} | {outcome.accepted:,} "
        f"| {outcome.defects:,} | {outcome.seconds:,.0f} | {outcome.slowest * 1000:,.0f} "
        f"| {outcome.rise / 2**20:,.0f} |"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """The command line; 1 where a defect was found."""
    parser = argparse.ArgumentParser(description="Feed hostile files to every reader.")
    parser.add_argument("--inputs", type=int, default=50_000, help="in all, or of each --reader")
    parser.add_argument("--reader", action="append", choices=[*READERS], help="only this one")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other inputs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--kept", type=Path, default=Path("build/fuzz"), help="for reproducers")
    parser.add_argument("--reproduce", nargs=2, metavar=("READER", "NUMBER"), help="one input")
    options = parser.parse_args()
    if options.reproduce:
        name, number = options.reproduce
        return _reproduce(name, options.seed, int(number))
    names = options.reader or [*READERS]
    outcomes = Campaign(options.kept, options.seed, options.jobs).run(
        share_out(options.inputs * (len(names) if options.reader else 1), names)
    )
    print("\n".join(table(outcomes)))
    found = [line for outcome in outcomes.values() for line in outcome.found]
    for line in found:
        print(f"\n{line['reader']} {line['number']}: {line['defect']}\n{line['detail']}")
    return 1 if found else 0


def _reproduce(name: str, seed: int, number: int) -> int:
    reader = find(name)
    hostile = make_input(reader, reader.seeds(), seed, number)
    with tempfile.TemporaryDirectory() as folder:
        reader.prepare(Path(folder))
        print(f"{hostile.name}, {len(hostile.content)} bytes: {hostile.content[:300]!r}")
        reader.read(hostile, Path(folder))
    return 0
