"""Tenfold trains image classifiers on the computer you have.

Example::

    import tenfold

    dataset = tenfold.open_dataset("digits")
    run = tenfold.train(dataset, recipe="lab-2")
    print(run.evaluate().accuracy)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenfold.api import Run, load_run, train
    from tenfold.data.dataset import Dataset, open_dataset
    from tenfold.errors import TenfoldError
    from tenfold.recipe import Recipe, load_recipe

__all__ = [
    "Dataset",
    "Recipe",
    "Run",
    "TenfoldError",
    "load_recipe",
    "load_run",
    "open_dataset",
    "train",
]

_HOMES = {
    "Dataset": "tenfold.data.dataset",
    "Recipe": "tenfold.recipe",
    "Run": "tenfold.api",
    "TenfoldError": "tenfold.errors",
    "load_recipe": "tenfold.recipe",
    "load_run": "tenfold.api",
    "open_dataset": "tenfold.data.dataset",
    "train": "tenfold.api",
}


# Imported when first used: TensorFlow alone takes seconds, and most commands do without it.
def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("tenfold")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
