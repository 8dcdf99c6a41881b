"""The lab's network 2: two convolutions, batch normalization, two self-normalizing dense layers."""

from __future__ import annotations

import keras

from tenfold.models._parts import Parts

LAYERS_OF_INTEREST = ("conv_1", "batch_norm", "conv_2", "dense_1", "dense_2", "logits")


def build(parts: Parts, size: int, classes: int) -> keras.Model:
    """Build network 2 for pictures of ``size`` x ``size`` x 3.

    conv 5x5 to 32; max pool 2x2; batch normalization; conv 5x5 to 64; max pool 2x2; dense 64,
    SELU; dropout; dense 128, SELU; dropout; dense to the classes; softmax. The recipe chooses the
    activation after a convolution: ``relu`` as in the report's code, or ``selu`` as in its text.
    """
    conv_activation = parts.section.conv_activation
    x = inputs = keras.Input((size, size, 3), name="pictures")
    x = parts.conv(32, "conv_1", conv_activation)(x)
    x = parts.pool("pool_1")(x)
    x = parts.batch_norm("batch_norm")(x)
    x = parts.conv(64, "conv_2", conv_activation)(x)
    x = parts.pool("pool_2")(x)
    x = parts.flatten("flatten")(x)
    x = parts.dense(64, "dense_1", "selu")(x)
    x = parts.dropout("dropout_1")(x)
    x = parts.dense(128, "dense_2", "selu")(x)
    x = parts.dropout("dropout_2")(x)
    return keras.Model(inputs, parts.head(x, classes), name="lab-2")
