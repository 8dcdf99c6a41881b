"""The loss of each picture of a batch, beside the mean that training goes by."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


class PictureLosses:
    """Room for the losses of the latest batch, which a compiled step fills part by part.

    Args:
        most: pictures in a batch, at most.
    """

    def __init__(self, most: int) -> None:
        self._losses = tf.Variable(tf.zeros(most), trainable=False, name="picture_losses")

    def note(self, labels: Any, logits: Any, done: Any) -> None:
        """Within a step: take note of some of a batch's pictures.

        Args:
            labels: one-hot, float32 (N, classes).
            logits: float32 (N, classes).
            done: pictures of the batch before these, int32 scalar.
        """
        losses = tf.nn.softmax_cross_entropy_with_logits(labels, logits)
        self._losses[done : done + tf.shape(losses)[0]].assign(losses)

    def latest(self, count: int) -> NDArray[np.float32]:
        """The losses of the latest batch, float32 (count,): cross-entropy, labels not smoothed."""
        losses: NDArray[np.float32] = self._losses[:count].numpy()
        return losses
