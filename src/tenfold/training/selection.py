"""Training on the pictures that are not yet learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tenfold.data.pipeline import TrainingOrder
from tenfold.training.picture_losses import PictureLosses
from tenfold.training.snapshot import Arrays, Numbers

_UNSEEN = np.float32(np.inf)


class Selection(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Chooses the pictures of each epoch by the loss that they had when they were last trained on.

    A picture that the network is sure of moves its weights little, and costs as much as any other.
    So an epoch is about a share of the pictures: those whose loss plus noise is the largest, the
    noise uniform between 0 and ``noise`` times twice the median loss, drawn anew for each epoch, so
    that a picture that was learnt once is looked at again. The first epochs take all pictures in
    turn. It follows the idea of Katharopoulos and Fleuret (2018) and of Jiang et al. (2019), but
    costs no pass of its own: losses are those of the training steps, as old as they may be.

    What an epoch trains on follows from the seed and the losses when it began, both of which a
    checkpoint has.

    Args:
        order: whose pictures are chosen.
        latest: the losses of a batch, where its step notes them.
        noise: see above; 0: the largest losses alone.
    """

    def __init__(self, order: TrainingOrder, latest: PictureLosses, noise: float) -> None:
        super().__init__()
        self._order = order
        self._latest = latest
        self._noise = noise
        self._losses = np.full(order.count, _UNSEEN, np.float32)
        self._epoch = -1
        self._restored = False

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Choose, unless the epoch had begun before this process did."""
        if self._restored and epoch == self._epoch:
            return
        self._epoch = epoch
        self._order.choose(epoch, self._chosen(epoch))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Note the losses of a batch."""
        step = self._epoch * self._order.steps_per_epoch + batch
        positions = self._order.positions(step)
        self._losses[positions] = self._latest.latest(len(positions))

    def _chosen(self, epoch: int) -> NDArray[np.int64] | None:
        if epoch < self._order.whole_epochs:
            return None
        losses = np.where(np.isfinite(self._losses), self._losses, np.float32(1e30))
        noise = np.random.default_rng((self._order.seed, epoch, 1)).random(len(losses), np.float32)
        scores = losses + noise * np.float32(2 * self._noise * np.median(losses))
        hardest = np.argsort(-scores, kind="stable")[: self._order.pictures_per_epoch]
        return np.sort(hardest)

    def checkpoint_state(self) -> tuple[Numbers, Arrays]:
        """All losses, and which pictures this epoch is about."""
        chosen = self._order.chosen(self._epoch)
        nothing = np.empty(0, np.int64)
        return {"epoch": self._epoch}, [self._losses.copy(), nothing if chosen is None else chosen]

    def restore_state(self, numbers: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
        """Go on from what `checkpoint_state` gave.

        Raises:
            KeyError, TypeError, ValueError: it is not that.
        """
        losses, chosen = arrays
        if losses.shape != self._losses.shape or losses.dtype != np.float32:
            raise ValueError("losses of other pictures")
        if len(chosen) and (
            chosen.dtype != np.int64
            or chosen.shape != (self._order.pictures_per_epoch,)
            or not 0 <= chosen.min() <= chosen.max() < self._order.count
        ):
            raise ValueError("chosen pictures that are not there")
        self._losses = losses.copy()
        self._epoch = int(numbers["epoch"])
        self._restored = True
        self._order.choose(self._epoch, chosen if len(chosen) else None)
