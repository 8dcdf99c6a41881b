"""Horizontal mirroring: which pictures, and the exact way to do it."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from tenfold.augment._random import Stream, uniforms


def draw(
    flip: Literal["random", "alternate"], seed: tf.Tensor, epoch: tf.Tensor, ids: tf.Tensor
) -> tf.Tensor:
    """Which pictures to mirror in this epoch.

    Args:
        flip: ``random``: each picture tosses a fair coin in each epoch. ``alternate``: the toss of
            epoch 0 decides once, and every odd epoch shows the other side, so that any two epochs
            in a row show both sides of every picture. Keller Jordan: "94% on CIFAR-10 in 3.29
            seconds on a single GPU", 2024, "alternating flip".
        seed: int64 scalar.
        epoch: int64 scalar.
        ids: int64 (B,).

    Returns:
        bool (B,).
    """
    if flip == "random":
        return uniforms(seed, epoch, ids)[Stream.FLIP] < 0.5
    first = uniforms(seed, tf.zeros_like(epoch), ids)[Stream.FLIP] < 0.5
    return tf.not_equal(first, epoch % 2 == 1)


def mirror(images: tf.Tensor, flipped: tf.Tensor) -> tf.Tensor:
    """Mirror the flipped ones of ``images`` (B, H, W, C), bit by bit, without resampling."""
    return tf.where(flipped[:, tf.newaxis, tf.newaxis, tf.newaxis], images[:, :, ::-1], images)
