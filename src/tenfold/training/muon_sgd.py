"""Muon for filters and Nesterov momentum for all else, as airbench94 was trained (Jordan, 2024)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 3
"""Of Newton and Schulz. They leave singular values between 0.7 and 1.2, which is near enough."""


@keras.saving.register_keras_serializable("tenfold")
class MuonSGD(keras.optimizers.Optimizer):  # type: ignore[misc]  # Keras ships no types
    """Orthogonal updates of filters, and stochastic gradient descent for biases and the head.

    With ``f`` the learning rate as a share of its peak, ``B`` the batch size and ``g`` the gradient
    of the batch's mean loss:

    - A convolution's filters, as a matrix with a row for each filter, are first scaled to a norm of
      the square root of their number, which batch normalization makes no difference of, and then
      moved by ``learning_rate`` against the nearest orthogonal matrix to ``g + momentum * m``,
      ``m = momentum * m + g`` (Jordan et al., 2024, "Muon").
    - Everything else moves by ``f * rate * (B g + decay)`` with Nesterov momentum of its own, where
      ``decay`` is ``weight_decay * B / rate`` times the weight. ``rate`` is ``bias_rate``, or
      for the head ``head_rate`` over the square of the number of values that it takes in: as if
      its output were divided by that number. It is a sum over pictures that these rates belong to,
      so that they need not change with the batch.
    - The stem's rate falls to 0 faster: linearly, while ``f`` falls to ``1 - stem_share``.

    Args:
        learning_rate: of the filters; a schedule or a number.
        peak: its largest value.
        batch_size: pictures in a batch.
        momentum: of the filters.
        bias_rate: see above; a picture's.
        head_rate: likewise.
        sgd_momentum: of biases and head.
        decay: see above; a picture's.
        stem: path of the layer whose rate falls faster.
        stem_share: see above.
    """

    def __init__(
        self,
        learning_rate: Any,
        *,
        peak: float,
        batch_size: int,
        momentum: float = 0.6,
        bias_rate: float = 0.053,
        head_rate: float = 0.67,
        sgd_momentum: float = 0.85,
        decay: float = 2e-6,
        stem: str = "whiten",
        stem_share: float = 0.375,
        name: str = "muon_sgd",
        **settings: Any,
    ) -> None:
        super().__init__(learning_rate, name=name, **settings)
        self.peak = peak
        self.batch_size = batch_size
        self.momentum = momentum
        self.bias_rate = bias_rate
        self.head_rate = head_rate
        self.sgd_momentum = sgd_momentum
        self.decay = decay
        self.stem = stem
        self.stem_share = stem_share

    def build(self, variables: list[Any]) -> None:
        """Make a momentum for each variable."""
        if self.built:
            return
        super().build(variables)
        self._paths = [variable.path for variable in variables]
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        gradient = ops.cast(gradient, variable.dtype)
        learning_rate = ops.cast(learning_rate, variable.dtype)
        index = self._get_variable_index(variable)
        momentum = self._momentums[index]
        if len(variable.shape) == 4:
            self._move_filters(gradient, variable, momentum, learning_rate)
            return
        share = learning_rate / self.peak
        if self._paths[index].startswith(f"{self.stem}/"):
            share = ops.maximum(0.0, 1 - (1 - share) / self.stem_share) if self.stem_share else 0.0
        self._move(gradient, variable, momentum, share)

    def _move_filters(self, gradient: Any, variable: Any, momentum: Any, rate: Any) -> None:
        self.assign(momentum, self.momentum * momentum + gradient)
        update = gradient + self.momentum * momentum
        filters = variable.shape[-1]
        norm = ops.sqrt(ops.sum(ops.square(variable)))
        matrix = orthogonalized(ops.transpose(ops.reshape(update, (-1, filters))))
        step = ops.reshape(ops.transpose(matrix), variable.shape)
        self.assign(variable, variable * (filters**0.5 / norm) - rate * step)

    def _move(self, gradient: Any, variable: Any, momentum: Any, share: Any) -> None:
        is_head = len(variable.shape) == 2
        rate = self.head_rate / variable.shape[0] ** 2 if is_head else self.bias_rate
        gradient = self.batch_size * (gradient + self.decay / rate * variable)
        self.assign(momentum, self.sgd_momentum * momentum + gradient)
        self.assign_sub(variable, share * rate * (gradient + self.sgd_momentum * momentum))

    def get_config(self) -> dict[str, Any]:
        """What rebuilds it."""
        own = (
            "peak", "batch_size", "momentum", "bias_rate", "head_rate", "sgd_momentum", "decay",
            "stem", "stem_share",
        )  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def orthogonalized(matrix: Any) -> Any:
    """About the nearest matrix, float32 (rows, columns), whose rows or columns are orthonormal.

    Newton and Schulz's iteration for the sign of a matrix, with a quintic polynomial whose
    coefficients bring small singular values up fast (Jordan et al., 2024).
    """
    a, b, c = _COEFFICIENTS
    rows, columns = matrix.shape
    x = matrix if rows <= columns else ops.transpose(matrix)
    x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = ops.matmul(x, ops.transpose(x))
        x = a * x + ops.matmul(b * gram + c * ops.matmul(gram, gram), x)
    return x if rows <= columns else ops.transpose(x)
