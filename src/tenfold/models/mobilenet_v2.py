"""MobileNetV2: inverted residuals and linear bottlenecks (Sandler et al., 2018)."""

from __future__ import annotations

from typing import Any

import keras

from tenfold.models._blocks import Blocks
from tenfold.models._parts import Parts

LAYERS_OF_INTEREST = (
    *("stem_relu", "block_1_project_norm", "block_6_sum", "block_13_sum", "block_17_project_norm"),
    *("last_relu", "logits"),
)

_STAGES = (
    # expansion, channels, blocks, stride of the first: table 2 of the paper, but for the stride of
    # the second stage, which is 1 here, as is that of the stem: 32 pixels are few.
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_MOST = 6.0
"""ReLU6: the paper's, for arithmetic of few bits."""


def build(parts: Parts, size: int, classes: int) -> keras.Model:
    """Build MobileNetV2 of width 1 for pictures of ``size`` x ``size`` x 3, 32 or so.

    conv 3x3 to 32; 17 blocks of table 2; conv 1x1 to 1,280; global average pooling; dropout; dense
    to the classes; softmax. The sides are halved three times, not five.
    """
    layers = Blocks(parts)
    inputs = keras.Input((size, size, 3), name="pictures")
    x = _normed(layers, layers.conv(inputs, 32, 3, "stem_conv"), "stem")
    number = 0
    for expansion, channels, blocks, first_stride in _STAGES:
        for block in range(blocks):
            number += 1
            stride = first_stride if block == 0 else 1
            x = _block(layers, x, expansion, channels, stride, f"block_{number}")
    x = _normed(layers, layers.conv(x, 1280, 1, "last_conv"), "last")
    x = layers.dropout(layers.pooled(x), "dropout")
    return keras.Model(inputs, layers.head(x, classes), name="mobilenet-v2")


def _block(layers: Blocks, x: Any, expansion: int, channels: int, stride: int, name: str) -> Any:
    """Expand, filter each channel, project without activation; add what went in, if it fits."""
    y = x
    if expansion != 1:
        y = layers.conv(y, expansion * x.shape[-1], 1, f"{name}_expand_conv")
        y = _normed(layers, y, f"{name}_expand")
    y = _normed(layers, layers.depthwise(y, f"{name}_filter_conv", stride), f"{name}_filter")
    y = layers.norm(layers.conv(y, channels, 1, f"{name}_project_conv"), f"{name}_project_norm")
    if stride == 1 and x.shape[-1] == channels:
        y = layers.add(x, y, f"{name}_sum")
    return y


def _normed(layers: Blocks, x: Any, name: str) -> Any:
    return layers.relu(layers.norm(x, f"{name}_norm"), f"{name}_relu", _MOST)
