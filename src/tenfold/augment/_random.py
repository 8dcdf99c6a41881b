"""Random numbers that belong to a picture in an epoch, whatever batch the picture travels in.

TensorFlow's stateless generators number the elements of a tensor, so a picture's draw would change
with its place in the batch. SplitMix64 is counter-based: output ``n`` of the generator started at
``state`` is ``mix(state + n * GAMMA)``, with no need to compute the outputs before it. Three such
steps lead from the seed to a number: seed -> epoch -> picture -> stream.

Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

from enum import IntEnum

import tensorflow as tf

_GAMMA = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio, made odd


class Stream(IntEnum):
    """What a number is drawn for. A new use is appended: renumbering would change every run."""

    FLIP = 0
    ROTATION = 1
    WIDTH_SHIFT = 2
    HEIGHT_SHIFT = 3
    ZOOM = 4
    SHEAR = 5
    BRIGHTNESS = 6
    CONTRAST = 7
    CUTOUT_ROW = 8
    CUTOUT_COLUMN = 9
    MIXUP = 10


def split_mix(state: tf.Tensor, n: tf.Tensor) -> tf.Tensor:
    """Output ``n``, counted from 0, of the SplitMix64 generator started at ``state``.

    Args:
        state: uint64, any shape.
        n: integers, zero or more, of a shape that broadcasts with ``state``'s.

    Returns:
        uint64, the shape of both together.
    """
    z = state + (tf.cast(n, tf.uint64) + _u64(1)) * _u64(_GAMMA)
    z = (z ^ tf.bitwise.right_shift(z, _u64(30))) * _u64(0xBF58476D1CE4E5B9)
    z = (z ^ tf.bitwise.right_shift(z, _u64(27))) * _u64(0x94D049BB133111EB)
    return z ^ tf.bitwise.right_shift(z, _u64(31))


def uniforms(seed: tf.Tensor, epoch: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """One number for each stream and picture, independent and uniform in [0, 1).

    Args:
        seed: int64 scalar.
        epoch: int64 scalar, counted from 0.
        ids: int64 (B,), the identity of each picture in its split.

    Returns:
        float64 (len(Stream), B), in steps of 2**-53; take a row by its `Stream`.
    """
    epoch_state = split_mix(tf.cast(seed, tf.uint64), epoch)
    picture_state = split_mix(epoch_state, ids)
    bits = split_mix(picture_state, tf.range(len(Stream), dtype=tf.int64)[:, tf.newaxis])
    return tf.cast(tf.bitwise.right_shift(bits, _u64(11)), tf.float64) * 2.0**-53


def either_way(uniform: tf.Tensor, largest: float) -> tf.Tensor:
    """Stretch uniform numbers in [0, 1) to [-largest, largest)."""
    return (2.0 * uniform - 1.0) * largest


def _u64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)
