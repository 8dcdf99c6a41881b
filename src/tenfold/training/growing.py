"""The files of a run that grow while it trains, and how they are cut back to a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tenfold.files import translate_output_errors
from tenfold.run import Run


def sizes(run: Run) -> dict[str, int]:
    """The size in bytes of each growing file, by its name in the run's folder, made durable.

    Durable, because a checkpoint that outlives a power cut must find what it counts on.

    Raises:
        OutputError: the disk takes no more.
    """
    found = {}
    for path in _growing(run):
        with translate_output_errors(path), path.open("rb") as file:
            os.fsync(file.fileno())
            found[path.relative_to(run.path).as_posix()] = os.fstat(file.fileno()).st_size
    return found


def lacking(run: Run, wanted: Mapping[str, int]) -> str | None:
    """The name of a file that is shorter than it was, or gone; None where there is none."""
    found = {path.relative_to(run.path).as_posix(): path for path in _growing(run)}
    for name, size in wanted.items():
        if size and (name not in found or found[name].stat().st_size < size):
            return name
    return None


def cut_back(run: Run, wanted: Mapping[str, int]) -> None:
    """Take off what was written after a checkpoint; a file that was not there then is removed.

    Raises:
        OutputError: the disk takes no writes.
    """
    for path in _growing(run):
        size = wanted.get(path.relative_to(run.path).as_posix(), 0)
        with translate_output_errors(path):
            if size:
                os.truncate(path, size)
            else:
                path.unlink()


def _growing(run: Run) -> Iterator[Path]:
    # By what lies there, and never by a name that a checkpoint brings: that may come from anywhere.
    if run.metrics_path.is_file():
        yield run.metrics_path
    if run.tensorboard_path.is_dir():
        yield from (path for path in sorted(run.tensorboard_path.iterdir()) if path.is_file())
