"""The convolutional network of the CIFAR-10 speed record airbench94 (Jordan, 2024)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tenfold.errors import RecipeError
from tenfold.models._parts import Parts

STEM = "whiten"
"""The convolution whose filters are `tenfold.models.whitening`'s, and are not trained."""
PATCH = 2
"""Side of its filters, pixels."""
LAYERS_OF_INTEREST = (
    f"{STEM}_silu", "group_1_silu_2", "group_2_silu_2", "group_3_silu_2", "logits",
)  # fmt: skip
SMALLEST = 9
"""Side of the smallest pictures of which three groups leave a pixel."""

_GROUPS = (64, 256, 256)
# hard_silu(2x) / 2 is within 0.11 of GELU and costs no exponential. Its argument is doubled by the
# scale that normalization and whitening leave at 2; halving is left to the weights that follow.
SHARPNESS = 2.0


def build(parts: Parts, size: int, classes: int) -> keras.Model:
    """Build airbench94's network for pictures of ``size`` x ``size`` x 3.

    A 2x2 convolution to 24 channels that whitens patches; three groups of conv 3x3, max pool 2x2,
    batch normalization, activation, conv 3x3, batch normalization, activation, with 64, 256 and
    256 channels; the maximum over what is left of the sides; a linear head without bias.

    Convolutions start as the identity on as many channels as they take in, and random beyond.
    Batch normalization learns no scale. As published, but for the activation, a piecewise
    quadratic in place of GELU, and the moving statistics: they keep 0.9 of themselves, not 0.6,
    because batches here have hundreds of pictures, not thousands.

    Raises:
        RecipeError: the pictures are smaller than `SMALLEST`.
    """
    if size < SMALLEST:
        raise RecipeError(
            f"model.name: airbench takes pictures of {SMALLEST}x{SMALLEST} or more, not "
            f"{size}x{size}; set data.size=32, or another model.name"
        )
    x = inputs = keras.Input((size, size, 3), name="pictures")
    stem = keras.layers.Conv2D(2 * PATCH * PATCH * 3, PATCH, dtype=parts.policy, name=STEM)
    x = _silu(parts, f"{STEM}_silu")(stem(x))
    stem.kernel.trainable = False
    for number, filters in enumerate(_GROUPS, 1):
        group = f"group_{number}"
        x = _conv(parts, x, filters, f"{group}_conv_1")
        x = parts.pool(f"{group}_pool")(x)
        x = _silu(parts, f"{group}_silu_1")(_norm(parts, x, f"{group}_norm_1"))
        x = _conv(parts, x, filters, f"{group}_conv_2")
        x = _silu(parts, f"{group}_silu_2")(_norm(parts, x, f"{group}_norm_2"))
    x = keras.layers.GlobalMaxPooling2D(dtype=parts.policy, name="pool")(x)
    start = keras.initializers.RandomNormal(0.0, 1 / (SHARPNESS * _GROUPS[-1]), parts.next_seed())
    x = keras.layers.Dense(
        classes, use_bias=False, kernel_initializer=start, dtype="float32", name="logits"
    )(x)
    x = keras.layers.Softmax(dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, x, name="airbench")


def _conv(parts: Parts, x: Any, filters: int, name: str) -> Any:
    layer = keras.layers.Conv2D(
        filters, 3, padding="same", use_bias=False, dtype=parts.policy, name=name
    )
    x = layer(x)
    layer.kernel.assign(partial_identity(tuple(layer.kernel.shape), parts.next_seed()))
    return x


def _norm(parts: Parts, x: Any, name: str) -> Any:
    layer = keras.layers.BatchNormalization(
        momentum=0.9,
        epsilon=1e-5,
        gamma_initializer=keras.initializers.Constant(SHARPNESS),
        dtype=parts.policy,
        name=name,
    )
    x = layer(x)
    layer.gamma.trainable = False
    return x


def _silu(parts: Parts, name: str) -> keras.Layer:
    return keras.layers.Activation("hard_silu", dtype=parts.policy, name=name)


def partial_identity(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Filters of which the first hand their inputs on, one each; the others are random.

    The random ones are uniform with variance 1 / (3 * fan-in), as PyTorch starts a convolution.

    Args:
        shape: (k, k, in, out), ``k`` odd.
        seed: the random filters follow from it.

    Returns:
        float32, of that shape.
    """
    size, _, channels, filters = shape
    bound = 1 / np.sqrt(size * size * channels)
    kernel = np.random.default_rng(seed).uniform(-bound, bound, shape).astype(np.float32)
    handed_on = min(channels, filters)
    kernel[..., :handed_on] = 0
    kernel[size // 2, size // 2, range(handed_on), range(handed_on)] = 1
    return kernel
