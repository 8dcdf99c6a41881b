"""Evaluating with averaged weights while training goes on with the latest ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras


def weights_to_evaluate(model: keras.Model) -> list[Any]:
    """A model's weights, float arrays in its own order, averaged ones where it averages."""
    averages = {
        variable.path: average
        for variable, average in _averages(model)
        # The optimizer keeps no average until its first step.
        if int(model.optimizer.iterations) > 0
    }
    return [
        keras.ops.convert_to_numpy(averages.get(variable.path, variable)).copy()
        for variable in model.weights
    ]


class EvaluateAverages(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Puts the moving average of the weights in place for each evaluation during ``fit``.

    The optimizer keeps the average (``use_ema``) and leaves it in the model at the end. In between,
    the latest weights are set aside and put back to the bit; Keras's ``SwapEMAWeights`` swaps by
    adding and subtracting, which rounds, so that a training with evaluations would end differently
    from one without.
    """

    def __init__(self) -> None:
        super().__init__()
        self._latest: list[Any] = []

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Set the latest weights aside and put the averages in their place."""
        self._latest = [
            keras.ops.convert_to_numpy(variable).copy() for variable, _ in _averages(self.model)
        ]
        for variable, average in _averages(self.model):
            variable.assign(average)

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Put the latest weights back."""
        for (variable, _), latest in zip(_averages(self.model), self._latest, strict=True):
            variable.assign(latest)
        self._latest = []


def _averages(model: keras.Model) -> list[tuple[Any, Any]]:
    """Each trained variable with its moving average; empty where the optimizer keeps none."""
    optimizer = model.optimizer
    if not optimizer.use_ema:
        return []
    pairs = zip(
        optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
    )
    return [(variable, average) for variable, average in pairs if average is not None]
