"""Every reader of files that nobody vouches for."""

from __future__ import annotations

from ..reader import Reader
from . import (
    archives,
    checkpoints,
    cifar,
    exports,
    models,
    pictures,
    recipes,
    requests,
    runs,
    tables,
)

_MODULES = (
    archives, cifar, pictures, tables, recipes, runs, checkpoints, models, exports, requests
)  # fmt: skip

READERS: dict[str, Reader] = {
    reader.name: reader for module in _MODULES for reader in module.READERS
}
"""By name, in the order of the table."""
