"""What a reader of files from elsewhere is to the fuzzer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

NUMBER_AT = 8
"""Where in a worker's slot the number of the current input lies."""


@dataclass(frozen=True)
class File:
    """An input: the name says which part of the reader it is for, and the content is hostile."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Reader:
    """One way into the program for files that nobody vouches for.

    Attributes:
        name: what the table calls it.
        seeds: makes good files; the same each time. Every one of them must be accepted.
        mutate: makes one hostile file out of them.
        read: reads a file as the program would, and raises `TenfoldError` or `DecodeError` where
            it refuses it. The folder is empty, or holds what `prepare` put there.
        share: of all inputs that a campaign spends, relative to the other readers.
        prepare: puts into the folder what a file refers to.
        reads_elsewhere: whether a file may name others, anywhere, to be read.
    """

    name: str
    seeds: Callable[[], Sequence[File]]
    mutate: Callable[[Random, Sequence[File]], File]
    read: Callable[[File, Path], object]
    share: float = 1.0
    prepare: Callable[[Path], None] = lambda _: None
    reads_elsewhere: bool = False
