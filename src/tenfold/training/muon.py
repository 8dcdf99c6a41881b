"""Muon for networks with convolutions."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("tenfold")
class Muon(keras.optimizers.Muon):  # type: ignore[misc]
    """Momentum whose update of each weight matrix is made orthogonal (Jordan et al., 2024).

    Keras's own Muon treats matrices so, and leaves everything else to AdamW. Here the filters of a
    convolution, (height, width, in, out), count as a matrix of (height * width * in, out) too, as
    in the original. Biases, batch normalization and depthwise filters, (height, width, in, 1), are
    no matrices: they stay with AdamW, as does every dense layer named in ``exclude_layers``.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        if len(variable.shape) == 4 and variable.shape[-1] > 1:
            return False
        return bool(super()._should_use_adamw(variable))

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, gradient + m * (self.momentum - 1))
        update = gradient + self.momentum * m if self.nesterov else m
        matrix = ops.reshape(update, (-1, variable.shape[-1]))
        orthogonal = self.zeropower_via_newtonschulz5(matrix, self.ns_steps)
        self.assign_sub(variable, ops.reshape(self.lr_adjust(lr * orthogonal), variable.shape))
