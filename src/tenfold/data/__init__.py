"""From a source to splits that a model can be trained on and honestly tested with.

`open_dataset` is the way in: it opens a source, decodes it once into a store, and says which
pictures belong to which split.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenfold.data.dataset import Dataset, Split, open_dataset
    from tenfold.data.store import Store, open_store

__all__ = ["Dataset", "Split", "Store", "open_dataset", "open_store"]

_HOMES = {
    "Dataset": "tenfold.data.dataset",
    "Split": "tenfold.data.dataset",
    "Store": "tenfold.data.store",
    "open_dataset": "tenfold.data.dataset",
    "open_store": "tenfold.data.store",
}


# Imported when first used: every decoding worker starts by importing this package, and needs none
# of these.
def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
