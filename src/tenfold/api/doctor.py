"""What this computer is like for Tenfold, and what stands in the way: ``tenfold doctor``."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold import cgroup, machine
from tenfold.api import _packages
from tenfold.data.cache import cache_folder
from tenfold.data.download import ARCHIVES
from tenfold.run import ROOT

if TYPE_CHECKING:
    from tenfold.training.speed import Speed

TRAINING_MEMORY = 1_300_000_000
"""Bytes that a training of pictures of 32x32 takes; benchmarks/lab.py measures them."""
_CACHE_SPACE = 600_000_000
"""Bytes for the archive of CIFAR-10, the pictures decoded from it, and some room."""
_RUN_SPACE = 100_000_000
_CLOCK_SLACK = 24 * 3600
"""Seconds that a file may come from the future: clocks of network disks differ."""


@dataclass(frozen=True)
class Place:
    """A folder that Tenfold writes to.

    Attributes:
        path: the folder; it may be still to be made.
        free: bytes that are free there; None where that cannot be told.
        size: bytes that it holds.
        trouble: why nothing can be written there; empty where something can.
    """

    path: str
    free: int | None
    size: int
    trouble: str


@dataclass(frozen=True)
class Cifar10:
    """Whether CIFAR-10 can be trained on without a download.

    Attributes:
        looked_at: where its archive was looked for.
        archive: where it is, its checksum verified; None where it is not.
        stores: how many decoded copies of it the cache has.
        damaged: an archive with another checksum than the official one.
    """

    looked_at: tuple[str, ...]
    archive: str | None
    stores: int
    damaged: str | None


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes:
        machine: the computer as this process sees it.
        core_quota: cores' worth of time that a container allows; None where nothing limits it.
        memory_limit: bytes that a container allows; None likewise.
        precision: what trainings compute in, where the recipe leaves it open.
        precision_reason: why, in words.
        threads: how many compute at once.
        threads_reason: why, in words.
        versions: of Python, Tenfold, and what it is made with.
        cache: where downloads and decoded pictures are kept.
        stores: decoded sources in the cache.
        runs: where trainings go.
        cifar10: whether it is at hand.
        problems: what stands in the way, and the mend, a line each.
    """

    machine: machine.Machine
    core_quota: float | None
    memory_limit: int | None
    precision: str
    precision_reason: str
    threads: int
    threads_reason: str
    versions: dict[str, str]
    cache: Place
    stores: int
    runs: Place
    cifar10: Cifar10
    problems: tuple[str, ...] = field(default=())


def examine() -> Examination:
    """Look at this computer, what is installed, the cache and the folder of runs.

    It takes about a second, and leaves nothing behind. `problems_of_speed` knows more, after a
    measurement.
    """
    computer = machine.describe()
    quota = cgroup.core_quota()
    limits = [limit for limit, _ in cgroup.memory_limits()]
    precision, precision_reason = machine.preferred_precision(computer)
    threads, threads_reason = _threads(computer)
    cache, runs = _place(cache_folder()), _place(ROOT)
    stores = _stores(cache_folder())
    found = Examination(
        machine=computer,
        core_quota=quota if quota < computer.cores_total else None,
        memory_limit=min(limits) if limits and min(limits) <= computer.memory_total else None,
        precision=precision,
        precision_reason=precision_reason,
        threads=threads,
        threads_reason=threads_reason,
        versions={"python": computer.python, **_packages.versions()},
        cache=cache,
        stores=len(stores),
        runs=runs,
        cifar10=_cifar10(cache_folder(), stores),
    )
    return replace(found, problems=tuple(_problems(found)))


def problems_of_speed(found: Examination, speed: Speed) -> Iterator[str]:
    """What a measurement shows to stand in the way, and the mend, a line each."""
    if speed.peak_memory_bytes > found.machine.memory_total * 0.9:
        yield (
            f"a training of {speed.recipe} takes {_gigabytes(speed.peak_memory_bytes)} of the "
            f"{_gigabytes(found.machine.memory_total)} that there are; use a smaller "
            "training.batch_size, or a machine or container with more memory"
        )
    spread = speed.images_per_second
    if spread.low < spread.high / 2:
        yield (
            f"the speed went between {spread.low:,.0f} and {spread.high:,.0f} images/s: other "
            "programs use this computer; close them, and the estimate can be relied on"
        )


def _problems(found: Examination) -> Iterator[str]:
    computer = found.machine
    if os.name != "posix":
        yield "this system has no POSIX file locks, which the store relies on; use WSL"
    if computer.cores == 1:
        yield "one core only: training takes twice as long as with two; allow this process more"
    if found.threads > computer.cores:
        yield (
            f"TensorFlow starts {found.threads} threads, and this process may keep "
            f"{computer.cores} cores busy; set TF_NUM_INTRAOP_THREADS={computer.cores}"
        )
    if computer.memory_available < TRAINING_MEMORY:
        yield (
            f"{_gigabytes(computer.memory_available)} of memory is free, and a training takes "
            f"about {_gigabytes(TRAINING_MEMORY)}; close other programs, or lift the limit"
        )
    places = (
        (found.cache, "the cache", _CACHE_SPACE, "name another folder in TENFOLD_CACHE"),
        (found.runs, "the folder of runs", _RUN_SPACE, "work in another folder, or use --out"),
    )
    for place, name, space, mend in places:
        if place.trouble:
            yield f"{name} {place.path} cannot be written: {place.trouble}; {mend}"
        elif place.free is not None and place.free < space:
            yield (
                f"{_gigabytes(place.free)} is free at {place.path}, and {name} may need "
                f"{_gigabytes(space)}; free some, or {mend}"
            )
    if found.cifar10.damaged is not None:
        yield (
            f"{found.cifar10.damaged} does not have the official checksum; remove it, and it is "
            "downloaded again"
        )
    newest = max(_ages(cache_folder(), ROOT), default=0.0)
    if newest > time.time() + _CLOCK_SLACK:
        yield (
            f"the clock says {_day(time.time())}, and there are files of {_day(newest)}; set the "
            "clock, or runs are listed in a wrong order"
        )
    for misfit in _packages.misfits():
        yield f"{misfit}; install it with: pip install --upgrade tenfold"


def _threads(computer: machine.Machine) -> tuple[int, str]:
    """How many threads TensorFlow computes with, and why."""
    variable = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if variable.isdecimal() and int(variable) > 0:
        return int(variable), "the environment variable TF_NUM_INTRAOP_THREADS says so"
    if hasattr(os, "sched_getaffinity"):  # TensorFlow knows of these, and of no quota
        return len(os.sched_getaffinity(0)), "one for each core that this process may use"
    return computer.cores_total, "one for each core"


def _place(path: Path) -> Place:
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    free, trouble = None, ""
    try:
        free = shutil.disk_usage(there).free
        with tempfile.TemporaryFile(dir=there):  # leaves nothing, whatever happens
            pass
    except NotADirectoryError:
        trouble = f"{there} is a file"
    except OSError as error:
        trouble = error.strerror or str(error)
    return Place(str(path), free, sum(_sizes(path)), trouble)


def _sizes(path: Path) -> Iterator[int]:
    for folder, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):  # a run or a preparation may be going on
                yield (Path(folder) / name).stat().st_size


def _stores(cache: Path) -> list[str]:
    """The fingerprint of each decoded source."""
    found = []
    for path in (cache / "stores").glob("*/store.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            found.append(str(json.loads(path.read_bytes())["fingerprint"]))
    return found


def _cifar10(cache: Path, stores: list[str]) -> Cifar10:
    archive = ARCHIVES["cifar10"]
    mirror = os.environ.get("TENFOLD_MIRROR", "")
    folders = [cache / "downloads"]
    if mirror and "://" not in mirror:
        folders.insert(0, Path(mirror).expanduser())
    paths = [folder / archive.file for folder in folders]
    looked_at, damaged = tuple(map(str, paths)), None
    for path in paths:
        with suppress(OSError), path.open("rb") as file:
            if hashlib.file_digest(file, "md5").hexdigest() == archive.md5:
                return Cifar10(looked_at, str(path), _stores_of(path, stores), None)
            damaged = str(path)
    return Cifar10(looked_at, None, 0, damaged)


def _stores_of(archive: Path, stores: list[str]) -> int:
    from tenfold.data.sources import open_source

    return stores.count(open_source(archive).fingerprint())


def _ages(*folders: Path) -> Iterator[float]:
    for path in (Path(__file__), *(child for folder in folders for child in folder.glob("*"))):
        with suppress(OSError):
            yield path.stat().st_mtime


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
