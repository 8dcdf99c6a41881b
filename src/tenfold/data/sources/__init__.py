"""Sources: where pictures come from, one kind a file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenfold.data.sources._open import SourceName, open_source
    from tenfold.data.sources.archive import ArchiveSource
    from tenfold.data.sources.base import Picture, Source, SplitName
    from tenfold.data.sources.cifar import CifarSource
    from tenfold.data.sources.digits import DigitsSource
    from tenfold.data.sources.folder import FolderSource
    from tenfold.data.sources.npz import NpzSource
    from tenfold.data.sources.table import TableSource

__all__ = [
    "ArchiveSource",
    "CifarSource",
    "DigitsSource",
    "FolderSource",
    "NpzSource",
    "Picture",
    "Source",
    "SourceName",
    "SplitName",
    "TableSource",
    "open_source",
]

_HOMES = {
    "ArchiveSource": "tenfold.data.sources.archive",
    "CifarSource": "tenfold.data.sources.cifar",
    "DigitsSource": "tenfold.data.sources.digits",
    "FolderSource": "tenfold.data.sources.folder",
    "NpzSource": "tenfold.data.sources.npz",
    "Picture": "tenfold.data.sources.base",
    "Source": "tenfold.data.sources.base",
    "SourceName": "tenfold.data.sources._open",
    "SplitName": "tenfold.data.sources.base",
    "TableSource": "tenfold.data.sources.table",
    "open_source": "tenfold.data.sources._open",
}


# Imported when first used: predictions read folders and archives, and wait for nothing else.
def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
