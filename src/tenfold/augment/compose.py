"""The effects of a recipe, in their order, as one function of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import tensorflow as tf

from tenfold.augment import affine, color, cutout, flip, mixup
from tenfold.augment._random import Stream, uniforms
from tenfold.augment.resample import resample
from tenfold.recipe import AugmentationSection


def build(section: AugmentationSection) -> Augment | None:
    """The augmentation that a recipe asks for; None where every effect is off."""
    how = {name: getattr(section, name) for name in ("fill", "fill_value", "whole_pixels")}
    all_off = AugmentationSection(**how)
    return None if section == all_off else Augment(section)


class Augment:
    """Random changes to a batch of training pictures, for use inside ``tf.data.Dataset.map``.

    The order is: geometry (mirror, zoom, shear, rotate, shift, in one resampling), brightness and
    contrast, rescale, cutout, mixup. Geometry comes first, so that what it fills in is lit like
    the rest, and the square of cutout stays a square. Rescale comes after brightness and contrast,
    which clip to [0, 255], and is not clipped itself: a factor of 2 is meant to go beyond.

    What happens to a picture depends on the seed, the epoch, the picture's id and its pixels,
    and on nothing else: neither on its place in the batch nor on the batch's size or other
    pictures. The exception is mixup, whose partner is the next picture of the batch.

    Example::

        augment = build(recipe.augmentation)
        images, labels = augment(images, labels, ids=ids, epoch=epoch, seed=seed)

    Args:
        section: the effects.
        compiled: False computes step by step, to the same pictures but for rounding: slower for
            each, and at once for a few, where compiling would take seconds.
    """

    def __init__(self, section: AugmentationSection, *, compiled: bool = True) -> None:
        self.section = section
        self._run = self._apply
        self._geometry = self._apply_geometry
        self._light = self._apply_light
        self._cutout = cutout.erase
        self._mixup = self._apply_mixup
        if compiled:
            self._run = tf.function(self._apply, autograph=False)
            self._geometry = _compiled(self._apply_geometry)
            self._light = _compiled(self._apply_light)
            self._cutout = _compiled(cutout.erase)
            self._mixup = _compiled(self._apply_mixup)

    def __call__(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        *,
        ids: tf.Tensor,
        epoch: tf.Tensor,
        seed: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Change a batch.

        Args:
            images: float32 (B, H, W, C), values 0 to 255.
            labels: float32 (B, classes), one-hot.
            ids: int64 (B,), the identity of each picture in its split.
            epoch: int64 scalar, counted from 0.
            seed: int64 scalar, the recipe's.

        Returns:
            Images and labels of the same shapes and types. Labels change by mixup only.
        """
        changed, mixed = self._run(images, labels, ids, epoch, seed)
        return tf.ensure_shape(changed, images.shape), tf.ensure_shape(mixed, labels.shape)

    def _apply(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        ids: tf.Tensor,
        epoch: tf.Tensor,
        seed: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        section = self.section
        uniform = uniforms(seed, epoch, ids)
        if affine.is_on(section) or section.flip != "none":
            flipped = None if section.flip == "none" else flip.draw(section.flip, seed, epoch, ids)
            images = self._geometry(images, uniform, flipped)
        if color.is_on(section) or section.rescale != 1.0:
            images = self._light(images, uniform)
        if section.cutout:
            images = self._cutout(images, section.cutout, uniform)
        if section.mixup:
            images, labels = self._mixup(images, labels, uniform)
        return images, labels

    def _apply_geometry(
        self, images: tf.Tensor, uniform: tf.Tensor, flipped: tf.Tensor | None
    ) -> tf.Tensor:
        section = self.section
        if not affine.is_on(section):
            return flip.mirror(images, flipped)
        height, width = tf.shape(images)[1], tf.shape(images)[2]
        matrices = affine.draw(section, uniform, flipped, height, width)
        return resample(images, matrices, section.fill, section.fill_value)

    def _apply_light(self, images: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        if color.is_on(self.section):
            images = color.adjust(images, self.section, uniform)
        return images * self.section.rescale

    def _apply_mixup(
        self, images: tf.Tensor, labels: tf.Tensor, uniform: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        weights = mixup.draw_weights(self.section.mixup, uniform[Stream.MIXUP])
        return mixup.mix(images, labels, weights)


def _compiled(effect: Callable[..., Any]) -> Callable[..., Any]:
    """Let XLA make one loop of an effect's many small operations over every pixel.

    That takes a third to a tenth of the processor time, which training needs itself, against
    about a second of compiling for each batch size. The effects are compiled one by one, because
    XLA would compute a picture anew for each use of it: three times for cutout and mixup.
    """
    return cast(Callable[..., Any], tf.function(effect, autograph=False, jit_compile=True))
