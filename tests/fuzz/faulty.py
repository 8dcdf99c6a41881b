"""Readers that are at fault with one input in ten, for testing that a campaign finds it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from tenfold.errors import TenfoldError

from .reader import NUMBER_AT, File, Reader

_BEFORE = b"\xff" * 8  # -1, the number of no input
_slot = -1


def _hang(_: Path) -> None:
    while True:
        pass


def _die(_: Path) -> None:
    os._exit(3)


def _grow(_: Path) -> None:
    b"x" * (750 << 20)


def _escape(_: Path) -> None:
    Path("x").write_text("x")


def _run(_: Path) -> None:
    subprocess.run(["true"], check=True)


def _raise(_: Path) -> None:
    raise KeyError("x")


def _refuse(_: Path) -> None:
    raise TenfoldError("mend it")


def _mutate(rng: Random, _: Sequence[File]) -> File:
    return File("x", b"hostile" if rng.random() < 0.1 else b"harmless")


def _reader(name: str, fault: Callable[[Path], None]) -> Reader:
    def read(file: File, folder: Path) -> None:
        # Not while the worker still warms up.
        if file.content == b"hostile" and os.pread(_slot, 8, NUMBER_AT) != _BEFORE:
            fault(folder)

    return Reader(name, lambda: [File("x", b"good")], _mutate, read, prepare=_prepare)


def _prepare(_: Path) -> None:
    """Open the worker's slot while nobody watches: opening it later would be a fault by itself."""
    global _slot
    if _slot < 0:
        _slot = os.open(os.environ["FUZZ_SLOT"], os.O_RDONLY)


READERS = {
    name: _reader(name, fault)
    for name, fault in {
        "hangs": _hang, "dies": _die, "grows": _grow, "escapes": _escape, "runs": _run,
        "raises": _raise, "refuses": _refuse,
    }.items()
}  # fmt: skip
