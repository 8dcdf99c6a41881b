"""One training in a run's folder at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenfold.errors import RunError


@contextmanager
def only_training_in(folder: Path) -> Iterator[None]:
    """Keep every other training out of a folder.

    The folder itself is locked, so nothing is left behind; the kernel unlocks it when the process
    ends, however it ends. A file system that cannot lock, as some network ones, keeps nobody out.

    Raises:
        RunError: another training is at work in it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"another training is at work in {folder}; wait for it, or choose another --out"
            ) from None
        except OSError:
            pass  # no locks here
        yield
    finally:
        os.close(descriptor)
