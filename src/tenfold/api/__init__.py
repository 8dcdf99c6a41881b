"""Training, evaluating and predicting in one call each: what the command line does, in Python."""

from tenfold.api._run import Run, load_run
from tenfold.api._train import TrainingInterrupted, default_recipe, train

__all__ = ["Run", "TrainingInterrupted", "default_recipe", "load_run", "train"]
