"""Tenfold trains image classifiers on the computer you have.

Example::

    import tenfold

    dataset = tenfold.open_dataset("digits")
    run = tenfold.train(dataset, recipe="lab-2")
    print(run.evaluate().accuracy)
"""

from __future__ import annotations

import os

# TensorFlow reads this while it is imported. Left to itself it uses oneDNN only on processors with
# AVX-512 or newer, and its own convolutions elsewhere, which take half as long again or more.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Not typing's: the command line answers in the time that a few such imports take.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tenfold.api import Run, load_run, resume, train
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
    "resume",
    "train",
]

__version__ = "0.1.0"

_HOMES = {
    "Dataset": "tenfold.data.dataset",
    "Recipe": "tenfold.recipe",
    "Run": "tenfold.api",
    "TenfoldError": "tenfold.errors",
    "load_recipe": "tenfold.recipe",
    "load_run": "tenfold.api",
    "open_dataset": "tenfold.data.dataset",
    "resume": "tenfold.api",
    "train": "tenfold.api",
}


# Imported when first used: TensorFlow alone takes seconds, and most commands do without it.
def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
