"""Reads hostile files in a process of its own, one after the other, and notes what went wrong.

An input is a function of the reader, the campaign's seed and its number, so that its number is all
that needs noting: whoever watches this process finds the number of what it is reading now in a
shared file, even after it died.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import shutil
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from tenfold.data.decode import DecodeError
from tenfold.errors import TenfoldError
from tenfold.machine import peak_memory

from . import faulty
from .guard import Guard
from .reader import File, Reader

SLOT = struct.Struct("<qqdd")
"""Which of the process's jobs is at work; the number of the input that is being read, -1 while the
job warms up; when that began, by the clock that all processes share, 0 between inputs; and this
process's processor time then, seconds."""

TALLY = struct.Struct("<qqqddq")
"""What came of a job so far, one after the other behind the slot: refused, accepted, defects,
seconds, the slowest input's seconds and the rise of memory in bytes. It outlives the process."""

UNWATCHED = 150
"""Inputs from another seed that come first, so that all late imports are done; for a short job,
three times its own."""

MEMORY = 500 * 2**20
"""How far resident memory may rise above where it was at the start, bytes."""

_KEPT = 3  # reproducers of one defect

Job = tuple[str, range]
"""A reader's name, and the numbers of the inputs that it reads."""


def find(name: str) -> Reader:
    """A reader by name, faulty or not."""
    if name in faulty.READERS:
        return faulty.READERS[name]
    from .readers import READERS  # the libraries of all readers: a second

    return READERS[name]


def make_input(reader: Reader, seeds: Sequence[File], seed: int, number: int) -> File:
    """The input of that number; every fiftieth is a seed as it is."""
    rng = Random(f"{reader.name}/{seed}/{number}")
    return rng.choice(seeds) if number % 50 == 0 else reader.mutate(rng, seeds)


def work(
    jobs: Sequence[Job], seed: int, folder: Path, slot: Path, report: Path, kept: Path
) -> None:
    """Read the inputs of these jobs.

    Args:
        jobs: what to read, and with which reader.
        seed: the campaign's.
        folder: an empty one, for what is read; the current folder is another empty one.
        slot: the shared file, of `SLOT`'s size and `TALLY`'s for each job.
        report: gets a line of JSON for each defect.
        kept: the folder for files that reproduce a defect.
    """
    warnings.simplefilter("ignore")
    guard = Guard(folder, Path.cwd())
    with slot.open("r+b") as file, report.open("a") as lines:
        shared = mmap.mmap(file.fileno(), 0)
        for index, (name, numbers) in enumerate(jobs):
            place = folder / str(index)
            place.mkdir()
            for line in _job(find(name), seed, index, numbers, place, guard, shared, kept):
                lines.write(json.dumps(line) + "\n")
                lines.flush()


def _job(
    reader: Reader,
    seed: int,
    index: int,
    numbers: range,
    folder: Path,
    guard: Guard,
    shared: mmap.mmap,
    kept: Path,
) -> Iterator[dict[str, object]]:
    """Read the inputs of one job; yields its defects, the first few of each kind."""
    SLOT.pack_into(shared, 0, index, -1, 0.0, 0.0)
    seeds = reader.seeds()
    reader.prepare(folder)
    for file in seeds:
        reader.read(file, folder)  # a seed that is refused would make all that follows pointless
    for number in range(min(UNWATCHED, 3 * len(numbers))):
        SLOT.pack_into(shared, 0, index, -1, time.monotonic(), time.process_time())
        _outcome(reader, make_input(reader, seeds, seed + 1, number), folder)
    SLOT.pack_into(shared, 0, index, -1, 0.0, 0.0)
    gc.collect()
    _clear()  # what libraries leave once, such as the folder of a cache
    start_memory = peak_memory()
    refused = accepted = rise = 0
    slowest = 0.0
    signatures: dict[str, int] = {}
    began_all = time.monotonic()
    for number in numbers:
        hostile = make_input(reader, seeds, seed, number)
        used = time.process_time()
        SLOT.pack_into(shared, 0, index, number, time.monotonic(), used)
        with guard.watching(reader.reads_elsewhere) as seen:
            outcome, detail = _outcome(reader, hostile, folder)
        SLOT.pack_into(shared, 0, index, number, 0.0, 0.0)
        slowest = max(slowest, time.process_time() - used)
        defects: list[tuple[str, str]] = []
        match outcome:
            case "refused":
                refused += 1
            case "accepted":
                accepted += 1
            case _:
                defects.append((outcome, detail))
        if seen:
            defects.append((f"did {seen[0].split(' ')[0]}", "; ".join(seen[:5])))
            _clear()
        rise = max(rise, peak_memory() - start_memory)
        if peak_memory() - start_memory > MEMORY:
            defects.append(("memory", f"rose by {rise >> 20} MB"))
            start_memory = peak_memory()
        for signature, more in defects:
            signatures[signature] = signatures.get(signature, 0) + 1
            if signatures[signature] <= _KEPT:
                path = kept / f"{reader.name}-{seed}-{number}-{Path(hostile.name).name}"
                path.write_bytes(hostile.content)
                yield {"reader": reader.name, "number": number, "defect": signature,
                       "detail": more, "file": path.name}  # fmt: skip
        TALLY.pack_into(
            shared, SLOT.size + index * TALLY.size, refused, accepted, sum(signatures.values()),
            time.monotonic() - began_all, slowest, rise
        )  # fmt: skip


def _clear() -> None:
    """Empty the current folder."""
    for left in Path.cwd().iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _outcome(reader: Reader, hostile: File, folder: Path) -> tuple[str, str]:
    """``accepted``, ``refused``, or the signature of a defect, with its details."""
    try:
        reader.read(hostile, folder)
    except (TenfoldError, DecodeError) as error:
        if not str(error) or "\n" in str(error) or len(str(error)) > 3000:
            return "message", f"{len(str(error))} characters"
        return "refused", ""
    except BaseException as error:
        place = _place(error)
        return f"{type(error).__name__} at {place}", "".join(traceback.format_exception(error))
    return "accepted", ""


def _place(error: BaseException) -> str:
    """The innermost line of Tenfold's that the error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}tenfold{os.sep}" in frame.filename]
    frame = (ours or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def main(arguments: Sequence[str]) -> None:
    """``SEED FOLDER SLOT REPORT KEPT [READER START STOP]...``, as the campaign calls it."""
    seed, *rest = arguments
    folder, slot, report, kept = map(Path, rest[:4])
    jobs = [
        (name, range(int(start), int(stop)))
        for name, start, stop in zip(rest[4::3], rest[5::3], rest[6::3], strict=True)
    ]
    work(jobs, int(seed), folder, slot, report, kept)


if __name__ == "__main__":
    main(sys.argv[1:])
