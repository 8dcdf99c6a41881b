"""Training, evaluating and predicting in one call each: what the command line does, in Python."""

from tenfold.api._export import Exported, parse_format
from tenfold.api._inspect import inspect_data
from tenfold.api._run import Run, load_run
from tenfold.api._train import TrainingInterrupted, default_recipe, resume, train

__all__ = [
    "Exported",
    "Run",
    "TrainingInterrupted",
    "default_recipe",
    "inspect_data",
    "load_run",
    "parse_format",
    "resume",
    "train",
]
