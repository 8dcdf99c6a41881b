"""Residual networks for small pictures (He et al., 2016, "Deep Residual Learning")."""

from __future__ import annotations

from typing import Any

import keras

from tenfold.models._blocks import Blocks
from tenfold.models._parts import Parts

LAYERS_OF_INTEREST_20 = (
    "stem_relu",
    "stage_1_3_relu",
    "stage_2_3_relu",
    "stage_3_3_relu",
    "logits",
)
LAYERS_OF_INTEREST_18 = (
    *("stem_relu", "stage_1_2_relu", "stage_2_2_relu", "stage_3_2_relu", "stage_4_2_relu"),
    "logits",
)


def build_20(parts: Parts, size: int, classes: int) -> keras.Model:
    """Build ResNet-20 for pictures of ``size`` x ``size`` x 3, after section 4.2 of the paper.

    conv 3x3 to 16; three stages of three blocks, 16, 32 and 64 channels, the later two halving the
    sides; global average pooling; dense to the classes; softmax. Where the shape changes, the
    shortcut is a normalized 1x1 convolution (the paper's option B; its CIFAR networks have option
    A, which pads channels with zeros and has 2,752 fewer weights).
    """
    return _build(parts, size, classes, channels=(16, 32, 64), blocks=3, name="resnet-20")


def build_18(parts: Parts, size: int, classes: int) -> keras.Model:
    """Build ResNet-18 for pictures of ``size`` x ``size`` x 3, in the form common for CIFAR.

    The paper's network for ImageNet with a stem for small pictures: conv 3x3 to 64 and no pooling;
    four stages of two blocks, 64, 128, 256 and 512 channels; shortcuts as in `build_20`.
    """
    return _build(parts, size, classes, channels=(64, 128, 256, 512), blocks=2, name="resnet-18")


def _build(
    parts: Parts, size: int, classes: int, *, channels: tuple[int, ...], blocks: int, name: str
) -> keras.Model:
    layers = Blocks(parts)
    inputs = keras.Input((size, size, 3), name="pictures")
    x = layers.conv_norm_relu(inputs, channels[0], 3, "stem")
    for stage, filters in enumerate(channels, 1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _block(layers, x, filters, stride, f"stage_{stage}_{block}")
    return keras.Model(inputs, layers.head(layers.pooled(x), classes), name=name)


def _block(layers: Blocks, x: Any, filters: int, stride: int, name: str) -> Any:
    """Two 3x3 convolutions, and what went in added to what comes out (figure 2 of the paper)."""
    y = layers.conv_norm_relu(x, filters, 3, f"{name}_first", stride)
    y = layers.norm(layers.conv(y, filters, 3, f"{name}_second_conv"), f"{name}_second_norm")
    if stride != 1 or x.shape[-1] != filters:
        x = layers.conv(x, filters, 1, f"{name}_shortcut_conv", stride)
        x = layers.norm(x, f"{name}_shortcut_norm")
    return layers.relu(layers.add(x, y, f"{name}_sum"), f"{name}_relu")
