"""The lab's network 1: one convolution and one hidden dense layer."""

from __future__ import annotations

import keras

from tenfold.models._parts import Parts

LAYERS_OF_INTEREST = ("conv_1", "pool_1", "dense_1", "logits")


def build(parts: Parts, size: int, classes: int) -> keras.Model:
    """Build network 1 for pictures of ``size`` x ``size`` x 3.

    conv 5x5 to 32, ReLU; max pool 2x2; dense 64, ReLU; dropout; dense to the classes; softmax.
    """
    x = inputs = keras.Input((size, size, 3), name="pictures")
    x = parts.conv(32, "conv_1")(x)
    x = parts.pool("pool_1")(x)
    x = parts.flatten("flatten")(x)
    x = parts.dense(64, "dense_1", "relu")(x)
    x = parts.dropout("dropout_1")(x)
    return keras.Model(inputs, parts.head(x, classes), name="lab-1")
