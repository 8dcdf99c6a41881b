"""Cutout: a square of each picture is erased.

DeVries, Taylor: "Improved regularization of convolutional neural networks with cutout", 2017.
"""

from __future__ import annotations

import tensorflow as tf

from tenfold.augment._mean import channel_means
from tenfold.augment._random import Stream


def erase(images: tf.Tensor, share: float, uniform: tf.Tensor) -> tf.Tensor:
    """Paint one square of each picture in the picture's mean colour.

    Its centre falls on any pixel with equal chance, so near an edge part of the square lies
    outside, as in the paper. The mean colour (the paper: the data set's) leaves each channel's
    mean nearly as it was, so normalization still fits, and needs no statistics of other pictures.

    Args:
        images: float32 (B, H, W, C).
        share: side of the square as a share of the picture's shorter side; rounded to whole
            pixels, at least one.
        uniform: float64 (len(Stream), B) in [0, 1).

    Returns:
        float32 (B, H, W, C).
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    shorter = tf.cast(tf.minimum(height, width), tf.float64)
    side = tf.maximum(tf.cast(tf.round(share * shorter), tf.int32), 1)
    rows = _covered(uniform[Stream.CUTOUT_ROW], side, height)[:, :, tf.newaxis, tf.newaxis]
    columns = _covered(uniform[Stream.CUTOUT_COLUMN], side, width)[:, tf.newaxis, :, tf.newaxis]
    mean = tf.cast(channel_means(images), images.dtype)
    return tf.where(rows & columns, mean, images)


def _covered(uniform: tf.Tensor, side: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Which pixels along one axis the square covers, bool (B, length)."""
    centre = tf.cast(tf.floor(uniform * tf.cast(length, tf.float64)), tf.int32)
    first = (centre - side // 2)[:, tf.newaxis]
    place = tf.range(length)[tf.newaxis, :]
    return (place >= first) & (place < first + side)
