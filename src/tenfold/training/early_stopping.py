"""Stopping where the validation split stops improving, with the best weights of all epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from numpy.typing import NDArray

from tenfold.training.averaging import weights_to_evaluate
from tenfold.training.snapshot import Arrays, Numbers


class EarlyStopping(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Ends ``fit`` after ``patience`` epochs without a better validation loss.

    At the end, stopped early or not, the model holds the weights that had the best validation
    loss: those that were evaluated, so averaged ones where the recipe averages. Keras's own
    callback would keep the weights from before averaging.

    Args:
        patience: epochs to wait for a better loss, at least 1.
    """

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.patience = patience
        self.best_epoch: int | None = None
        self._best_loss = math.inf
        self._best_weights: Arrays = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Compare the epoch's validation loss with the best so far."""
        loss = (logs or {})["val_loss"]
        if loss < self._best_loss:
            self._best_loss, self.best_epoch = loss, epoch
            self._best_weights = weights_to_evaluate(self.model)
        elif epoch - (self.best_epoch or 0) >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Put the best weights back."""
        if self._best_weights:
            self.model.set_weights(self._best_weights)

    def checkpoint_state(self) -> tuple[Numbers, Arrays]:
        """The best epoch, its loss, and its weights."""
        best = None if math.isinf(self._best_loss) else float(self._best_loss)
        return {"best_epoch": self.best_epoch, "best_loss": best}, self._best_weights

    def restore_state(self, numbers: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
        """Go on from what `checkpoint_state` gave."""
        loss, self.best_epoch = numbers["best_loss"], numbers["best_epoch"]
        self._best_loss = math.inf if loss is None else float(loss)
        self._best_weights = list(arrays)
