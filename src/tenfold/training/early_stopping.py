"""Stopping where the validation split stops improving, with the best weights of all epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping

import keras

from tenfold.training.averaging import weights_to_evaluate


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
        self._best_weights: list[object] = []

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
