"""The geometric effects as 3x3 matrices, composed into one for each picture.

Places are homogeneous columns (x, y, 1): x to the right, y downwards, in pixels from the picture's
centre. As resampling asks "where does this output pixel come from?", every matrix here maps an
output place to an input place: it is the inverse of what the viewer sees happen, and the effect
that the viewer sees last is the rightmost factor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from tenfold.augment._random import Stream, either_way
from tenfold.recipe import AugmentationSection


def is_on(section: AugmentationSection) -> bool:
    """Whether any effect asks for resampling. A flip by itself does not: it only moves pixels."""
    return bool(
        section.rotation
        or section.width_shift
        or section.height_shift
        or section.zoom
        or section.shear
    )


def draw(
    section: AugmentationSection,
    uniform: tf.Tensor,
    flipped: tf.Tensor | None,
    height: tf.Tensor,
    width: tf.Tensor,
) -> tf.Tensor:
    """One matrix for each picture: it is mirrored, zoomed, sheared, rotated, then shifted.

    Args:
        section: the largest value of each effect; those at 0 take no part.
        uniform: float64 (len(Stream), B) in [0, 1).
        flipped: bool (B,), which pictures to mirror; None: none.
        height: int32 scalar, of the pictures, pixels; a shift is a share of it.
        width: int32 scalar, likewise.

    Returns:
        float64 (B, 3, 3), from output places to input places.
    """
    factors = []  # in the order in which the viewer sees them happen
    if flipped is not None:
        factors.append(mirror(flipped))
    if section.zoom:
        factors.append(zoom(1.0 + either_way(uniform[Stream.ZOOM], section.zoom)))
    if section.shear:
        factors.append(shear(either_way(uniform[Stream.SHEAR], math.radians(section.shear))))
    if section.rotation:
        largest = math.radians(section.rotation)
        factors.append(rotation(either_way(uniform[Stream.ROTATION], largest)))
    if section.width_shift or section.height_shift:
        right = either_way(uniform[Stream.WIDTH_SHIFT], section.width_shift)
        down = either_way(uniform[Stream.HEIGHT_SHIFT], section.height_shift)
        pixels = tf.cast([width, height], tf.float64)
        right, down = right * pixels[0], down * pixels[1]
        if section.whole_pixels:
            right, down = tf.round(right), tf.round(down)
        factors.append(shift(right, down))
    matrix = factors[0]
    for factor in factors[1:]:
        matrix = tf.linalg.matmul(matrix, factor)
    return matrix


def mirror(flipped: tf.Tensor) -> tf.Tensor:
    """Left and right change places where ``flipped``, bool (B,)."""
    return _matrix([[tf.where(flipped, -1.0, 1.0), 0, 0], [0, 1, 0]], flipped)


def zoom(scale: tf.Tensor) -> tf.Tensor:
    """The picture grows by ``scale`` (B,); below 1 it shrinks."""
    return _matrix([[1.0 / scale, 0, 0], [0, 1.0 / scale, 0]], scale)


def shear(angle: tf.Tensor) -> tf.Tensor:
    """Rows slide sideways until vertical lines lean by ``angle`` (B,), radians."""
    return _matrix([[1, -tf.tan(angle), 0], [0, 1, 0]], angle)


def rotation(angle: tf.Tensor) -> tf.Tensor:
    """The picture turns anticlockwise by ``angle`` (B,), radians."""
    cos, sin = tf.cos(angle), tf.sin(angle)
    return _matrix([[cos, -sin, 0], [sin, cos, 0]], angle)


def shift(right: tf.Tensor, down: tf.Tensor) -> tf.Tensor:
    """The picture moves by ``right`` and ``down`` (B,), pixels, fractions of one included."""
    return _matrix([[1, 0, -right], [0, 1, -down]], right)


def _matrix(rows: Sequence[Sequence[tf.Tensor | float]], like: tf.Tensor) -> tf.Tensor:
    """Stack two rows of scalars and (B,) tensors, and the row 0 0 1, into float64 (B, 3, 3).

    Double precision costs nothing at one matrix a picture, and makes the result, once rounded to
    float32, independent of the batch size: TensorFlow computes the sine of a whole vector of
    numbers and that of the odd ones left over by different formulas, which differ in the last bit.
    """
    one = tf.ones_like(like, tf.float64)
    entries = [one * tf.cast(entry, tf.float64) for row in (*rows, (0, 0, 1)) for entry in row]
    return tf.reshape(tf.stack(entries, axis=-1), [-1, 3, 3])
