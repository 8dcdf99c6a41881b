"""The mean colour of a picture."""

from __future__ import annotations

import tensorflow as tf


def channel_means(images: tf.Tensor) -> tf.Tensor:
    """Mean of each channel of each picture, (B, H, W, C) to float64 (B, 1, 1, C).

    Summed in double precision: the order of summation depends on the batch size, and in float32
    the last bits of the result would too.
    """
    return tf.reduce_mean(tf.cast(images, tf.float64), axis=[1, 2], keepdims=True)
