"""Wide residual networks (Zagoruyko and Komodakis, 2016)."""

from __future__ import annotations

from typing import Any

import keras

from tenfold.models._blocks import Blocks
from tenfold.models._parts import Parts

LAYERS_OF_INTEREST = ("stem_conv", "group_1_2_sum", "group_2_2_sum", "group_3_2_sum", "logits")

_DEPTH, _WIDTH = 16, 4


def build_16_4(parts: Parts, size: int, classes: int) -> keras.Model:
    """Build WRN-16-4 for pictures of ``size`` x ``size`` x 3: 16 layers, 4 times as wide.

    conv 3x3 to 16; three groups of two blocks, 64, 128 and 256 channels, the later two halving the
    sides; batch normalization, ReLU; global average pooling; dense to the classes; softmax. Each
    convolution of a block follows its normalization and ReLU, and dropout lies between the two
    (section 3.3 of the paper). Shortcuts are 1x1 convolutions where the shape changes.
    """
    layers = Blocks(parts)
    inputs = keras.Input((size, size, 3), name="pictures")
    x = layers.conv(inputs, 16, 3, "stem_conv")
    for group in (1, 2, 3):
        for block in range(1, (_DEPTH - 4) // 6 + 1):
            stride = 2 if group > 1 and block == 1 else 1
            x = _block(layers, x, 2 ** (group + 3) * _WIDTH, stride, f"group_{group}_{block}")
    x = layers.norm_relu(x, "last")
    return keras.Model(inputs, layers.head(layers.pooled(x), classes), name="wrn-16-4")


def _block(layers: Blocks, x: Any, filters: int, stride: int, name: str) -> Any:
    y = layers.norm_relu(x, f"{name}_first")
    if stride != 1 or x.shape[-1] != filters:
        x = layers.conv(y, filters, 1, f"{name}_shortcut_conv", stride)
    y = layers.conv(y, filters, 3, f"{name}_first_conv", stride)
    y = layers.norm_relu(y, f"{name}_second")
    y = layers.dropout(y, f"{name}_dropout")
    y = layers.conv(y, filters, 3, f"{name}_second_conv")
    return layers.add(x, y, f"{name}_sum")
