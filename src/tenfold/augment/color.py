"""Brightness and contrast."""

from __future__ import annotations

import tensorflow as tf

from tenfold.augment._mean import channel_means
from tenfold.augment._random import Stream, either_way
from tenfold.recipe import AugmentationSection


def is_on(section: AugmentationSection) -> bool:
    """Whether brightness or contrast changes."""
    return bool(section.brightness or section.contrast)


def adjust(images: tf.Tensor, section: AugmentationSection, uniform: tf.Tensor) -> tf.Tensor:
    """Change contrast about each channel's mean, and brightness; then clip to [0, 255].

    The formula is ``clip(mean + factor * (pixel - mean) + offset)``. The two commute, as an offset
    moves the mean along, so nothing is clipped in between. Clipping at the end is what makes this
    a picture of the same scene in other light: a camera saturates.

    Args:
        images: float32 (B, H, W, C), values 0 to 255.
        section: the largest changes.
        uniform: float64 (len(Stream), B) in [0, 1).

    Returns:
        float32 (B, H, W, C), values 0 to 255.
    """
    factor = 1.0 + either_way(uniform[Stream.CONTRAST], section.contrast)
    offset = either_way(uniform[Stream.BRIGHTNESS], section.brightness * 255.0)
    factor, offset = (value[:, tf.newaxis, tf.newaxis, tf.newaxis] for value in (factor, offset))
    if section.contrast:
        offset += (1.0 - factor) * channel_means(images)
    images = images * tf.cast(factor, tf.float32) + tf.cast(offset, tf.float32)
    return tf.clip_by_value(images, 0.0, 255.0)
