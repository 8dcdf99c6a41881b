"""Bilinear resampling of a batch of pictures by one affine matrix each.

`tf.raw_ops.ImageProjectiveTransformV3` is not used: its WRAP interpolates no pixel between the
last and the first, so it shows seams, and it is slower than the gathers below once these are
compiled (benchmarks/augmentation.py).
"""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

Fill = Literal["nearest", "reflect", "wrap", "constant"]


def resample(
    images: tf.Tensor, matrices: tf.Tensor, fill: Fill, fill_value: float = 0.0
) -> tf.Tensor:
    """Take every output pixel from the input place that its picture's matrix says.

    The picture is continued beyond its edges as ``fill`` says, then interpolated bilinearly. This
    is SciPy's ``ndimage.affine_transform(order=1)``, with modes of these names::

        fill        SciPy's mode     left of it | a b c d | right of it
        nearest     nearest             a a a a | a b c d | d d d d
        reflect     reflect             d c b a | a b c d | d c b a
        wrap        grid-wrap           a b c d | a b c d | a b c d
        constant    grid-constant       k k k k | a b c d | k k k k     k = fill_value

    Args:
        images: float32 (B, H, W, C).
        matrices: float64 (B, 3, 3), from output places to input places, both (x, y, 1) in pixels
            from the picture's centre.
        fill: what lies beyond the edges.
        fill_value: the k of ``constant``.

    Returns:
        float32 (B, H, W, C).
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    x, y = _input_places(matrices, height, width)
    if fill == "constant":
        # Beyond a frame of one pixel of k, interpolating or repeating the edge is the same.
        frame = [[0, 0], [1, 1], [1, 1], [0, 0]]
        images = tf.pad(images, frame, constant_values=fill_value)
        x, y, height, width = x + 1.0, y + 1.0, height + 2, width + 2
    left, right, along_x = _neighbours(x, width, fill)
    top, bottom, along_y = _neighbours(y, height, fill)

    picture = tf.range(tf.shape(images)[0])[:, tf.newaxis, tf.newaxis] * height
    pixels = tf.reshape(images, [-1, images.shape[-1]])
    top, bottom = (picture + top) * width, (picture + bottom) * width
    above = _between(tf.gather(pixels, top + left), tf.gather(pixels, top + right), along_x)
    below = _between(tf.gather(pixels, bottom + left), tf.gather(pixels, bottom + right), along_x)
    return _between(above, below, along_y)


def _input_places(
    matrices: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Column and row, float32 (B, H, W), that each output pixel comes from."""
    centre_x = tf.cast(width - 1, tf.float32) / 2.0
    centre_y = tf.cast(height - 1, tf.float32) / 2.0
    x = (tf.range(width, dtype=tf.float32) - centre_x)[tf.newaxis, tf.newaxis, :]
    y = (tf.range(height, dtype=tf.float32) - centre_y)[tf.newaxis, :, tf.newaxis]
    m = tf.cast(matrices, tf.float32)[:, :, :, tf.newaxis, tf.newaxis]
    return (
        m[:, 0, 0] * x + (m[:, 0, 1] * y + (m[:, 0, 2] + centre_x)),
        m[:, 1, 0] * x + (m[:, 1, 1] * y + (m[:, 1, 2] + centre_y)),
    )


def _neighbours(
    place: tf.Tensor, size: tf.Tensor, fill: Fill
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The pixels before and after a place along one axis, and how far it lies between them.

    Returns:
        Two int32 indices in [0, size), and a float32 in [0, 1).
    """
    length = tf.cast(size, tf.float32)
    if fill == "wrap":
        place = tf.math.floormod(place, length)
        before = tf.floor(place)
        index = tf.cast(before, tf.int32) % size  # rounding can make a tiny negative into `length`
        return index, (index + 1) % size, place - before
    if fill == "reflect":
        # A zigzag of period 2 * length about the outer edges of the first and last pixels.
        place = length - tf.abs(tf.math.floormod(place + 0.5, 2.0 * length) - length) - 0.5
    place = tf.clip_by_value(place, 0.0, length - 1.0)
    before = tf.floor(place)
    index = tf.cast(before, tf.int32)
    return index, tf.minimum(index + 1, size - 1), place - before


def _between(first: tf.Tensor, second: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Linear interpolation; exact where the share is 0 or both ends are equal."""
    return first + share[..., tf.newaxis] * (second - first)
