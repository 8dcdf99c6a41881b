"""Evaluating with averaged weights while training goes on with the latest ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras


def weights_to_evaluate(model: keras.Model) -> list[Any]:
    """A model's weights, float arrays in its own order, averaged ones where it averages."""
    averages = {id(variable): average for variable, average in _averages(model)}
    return [_value(averages.get(id(variable), variable)) for variable in model.weights]


class EvaluateAverages(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Puts the moving average of the weights in place for each evaluation during ``fit``.

    The optimizer keeps the average (``use_ema``) and leaves it in the model at the end. In between,
    the latest weights are set aside and put back to the bit; Keras's ``SwapEMAWeights`` swaps by
    adding and subtracting, which rounds, so that a training with evaluations would end differently
    from one without.
    """

    def __init__(self) -> None:
        super().__init__()
        self._latest: list[tuple[Any, Any]] = []

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Set the latest weights aside and put the averages in their place."""
        averages = _averages(self.model)
        self._latest = [(variable, _value(variable)) for variable, _ in averages]
        for variable, average in averages:
            variable.assign(average)

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Put the latest weights back."""
        for variable, latest in self._latest:
            variable.assign(latest)
        self._latest = []


def _averages(model: keras.Model) -> list[tuple[Any, Any]]:
    """Each trained variable with its moving average; empty where the optimizer keeps none yet."""
    optimizer = model.optimizer
    if not optimizer.use_ema or int(optimizer.iterations) == 0:
        return []
    pairs = zip(
        optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
    )
    return [(variable, average) for variable, average in pairs if average is not None]


def _value(variable: Any) -> Any:
    """A copy that does not change with the variable."""
    return keras.ops.convert_to_numpy(variable).copy()
