"""GoogLeNet (Szegedy et al., 2015) with batch normalization (Ioffe and Szegedy, 2015)."""

from __future__ import annotations

from typing import Any

import keras

from tenfold.models._blocks import Blocks
from tenfold.models._parts import Parts

LAYERS_OF_INTEREST = ("stem_relu", "inception_3b", "inception_4e", "inception_5b", "logits")

_MODULES = {
    # 1x1; 1x1 and 3x3; 1x1 and 5x5; behind the pooling: table 1 of the first paper.
    "3a": (64, (96, 128), (16, 32), 32),
    "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64),
    "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128),
    "5b": (384, (192, 384), (48, 128), 128),
}
_HALVED_BEFORE = ("4a", "5a")


def build(parts: Parts, size: int, classes: int) -> keras.Model:
    """Build GoogLeNet for pictures of ``size`` x ``size`` x 3, in the form common for CIFAR.

    The nine inception modules behind a stem for small pictures, conv 3x3 to 192 and no pooling;
    global average pooling; dropout; dense to the classes; softmax. A 5x5 convolution is two of 3x3,
    as in the second paper, which also does without the auxiliary classifiers in the end.
    """
    layers = Blocks(parts)
    inputs = keras.Input((size, size, 3), name="pictures")
    x = layers.conv_norm_relu(inputs, 192, 3, "stem")
    for name, channels in _MODULES.items():
        if name in _HALVED_BEFORE:
            x = layers.max_pool(x, f"before_{name}")
        x = _inception(layers, x, *channels, f"inception_{name}")
    x = layers.dropout(layers.pooled(x), "dropout")
    return keras.Model(inputs, layers.head(x, classes), name="googlenet")


def _inception(
    layers: Blocks,
    x: Any,
    ones: int,
    threes: tuple[int, int],
    fives: tuple[int, int],
    pooled: int,
    name: str,
) -> Any:
    """Four ways from one tensor, side by side (figure 2b of the first paper)."""
    one = layers.conv_norm_relu(x, ones, 1, f"{name}_1x1")
    three = layers.conv_norm_relu(x, threes[0], 1, f"{name}_3x3_reduce")
    three = layers.conv_norm_relu(three, threes[1], 3, f"{name}_3x3")
    five = layers.conv_norm_relu(x, fives[0], 1, f"{name}_5x5_reduce")
    five = layers.conv_norm_relu(five, fives[1], 3, f"{name}_5x5_first")
    five = layers.conv_norm_relu(five, fives[1], 3, f"{name}_5x5_second")
    pool = layers.max_pool(x, f"{name}_pool", stride=1)
    pool = layers.conv_norm_relu(pool, pooled, 1, f"{name}_pool_1x1")
    return layers.concatenate([one, three, five, pool], name)
