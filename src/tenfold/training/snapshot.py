"""Between a training in memory and the arrays and numbers of a checkpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np
from numpy.typing import NDArray

from tenfold.errors import RunError
from tenfold.training.checkpoint import Checkpoint, Number
from tenfold.training.trainee import Trainee

Numbers = dict[str, Number]
Arrays = list[NDArray[Any]]


@runtime_checkable
class Resumable(Protocol):
    """A callback that keeps something from step to step, and can be given it back."""

    def checkpoint_state(self) -> tuple[Numbers, Arrays]:
        """What it keeps, as plain numbers by name, and arrays in an order of its own."""

    def restore_state(self, numbers: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
        """Take back what `checkpoint_state` gave, before ``on_train_begin``.

        Raises:
            KeyError, TypeError, ValueError: it is not what was given.
        """


def capture(
    trainee: Trainee, callbacks: Sequence[keras.callbacks.Callback]
) -> tuple[dict[str, Numbers], dict[str, NDArray[Any]]]:
    """What callbacks keep, by class; and every array of the training, by name, copied."""
    arrays = {
        name: keras.ops.convert_to_numpy(variable).copy() for name, variable in _variables(trainee)
    }
    kept = {}
    for name, callback in _resumable(callbacks):
        kept[name], own = callback.checkpoint_state()
        arrays |= {f"callback/{name}/{place}": values for place, values in enumerate(own)}
    return kept, arrays


def restore(
    trainee: Trainee, callbacks: Sequence[keras.callbacks.Callback], checkpoint: Checkpoint
) -> None:
    """Put a training back to the moment of a checkpoint.

    Raises:
        RunError: it is the checkpoint of another training, or of another version.
    """
    arrays = dict(checkpoint.arrays)
    variables = dict(_variables(trainee))
    for name, variable in variables.items():
        values = arrays.pop(name, None)
        if (
            values is None
            or values.shape != tuple(variable.shape)
            or values.dtype != np.dtype(keras.backend.standardize_dtype(variable.dtype))
        ):
            raise unfit(f"it has no {name} of {tuple(variable.shape)}")
        variable.assign(values)
    for name, callback in _resumable(callbacks):
        own: Arrays = []
        while (values := arrays.pop(f"callback/{name}/{len(own)}", None)) is not None:
            own.append(values)
        try:
            callback.restore_state(checkpoint.progress.callbacks[name], own)
        except (KeyError, TypeError, ValueError):
            raise unfit(f"what it holds of {name} is not what that keeps") from None


def _variables(trainee: Trainee) -> Iterator[tuple[str, Any]]:
    """Every variable that the rest of the training depends on, by a name of its own."""
    groups = {
        "network": trainee.network.variables,  # weights, statistics, and seeds of dropout
        "optimizer": trainee.optimizer.variables,
        "metric": [v for metric in trainee.running_metrics for v in metric.variables],
    }
    for group, variables in groups.items():
        for place, variable in enumerate(variables):
            yield f"{group}/{place}/{variable.name}", variable


def _resumable(
    callbacks: Sequence[keras.callbacks.Callback],
) -> Iterator[tuple[str, Resumable]]:
    """Those that keep something, by class, and by number where a class is there again."""
    seen: Counter[str] = Counter()
    for callback in callbacks:
        if isinstance(callback, Resumable):
            name = type(callback).__name__
            seen[name] += 1
            yield name if seen[name] == 1 else f"{name}-{seen[name]}", callback


def unfit(reason: str) -> RunError:
    """What to raise where a checkpoint is not one of the training that is to go on from it."""
    return RunError(
        f"the checkpoint does not fit this training ({reason}); was it made by another version of "
        "Tenfold or Keras?"
    )
