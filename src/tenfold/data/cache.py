"""Where Tenfold keeps what it can make again: stores and downloads."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder(cache: Path | None = None) -> Path:
    """The folder that holds Tenfold's caches.

    That is ``cache`` where given, else the environment variable TENFOLD_CACHE, else the system's
    cache folder for this user.
    """
    if cache is not None:
        return Path(cache)
    return Path(os.environ.get("TENFOLD_CACHE") or platformdirs.user_cache_dir("tenfold"))
