"""What each augmentation effect does to sample pictures: by itself, then all together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tenfold.augment.compose import Augment
from tenfold.data import contact_sheet
from tenfold.errors import RecipeError
from tenfold.recipe import AugmentationSection

LAB = AugmentationSection(
    rotation=180.0, width_shift=0.4, height_shift=0.4, flip="random", rescale=2.0, fill="nearest"
)
"""The settings of the lab report."""

_EPOCHS = 8
_MOST_TOGETHER = 6

_TITLES: dict[str, Callable[[AugmentationSection], str]] = {
    "rotation": lambda s: f"rotation up to {s.rotation:g} degrees either way, {_filled(s)}",
    "width_shift": lambda s: f"width shift up to {s.width_shift:g} of the width, {_filled(s)}",
    "height_shift": lambda s: f"height shift up to {s.height_shift:g} of the height, {_filled(s)}",
    "zoom": lambda s: f"zoom by {1 - s.zoom:g} to {1 + s.zoom:g}, {_filled(s)}",
    "shear": lambda s: f"shear up to {s.shear:g} degrees either way, {_filled(s)}",
    "flip": lambda s: f"horizontal flip, {s.flip}",
    "rescale": lambda s: f"rescale: pixel values times {s.rescale:g} (shown clipped at 255)",
    "brightness": lambda s: f"brightness up to {s.brightness:g} of the full range either way",
    "contrast": lambda s: f"contrast times {1 - s.contrast:g} to {1 + s.contrast:g}",
    "cutout": lambda s: f"cutout: a square of {s.cutout:g} of the side",
    "mixup": lambda s: f"mixup with the next picture, shares from Beta({s.mixup:g}, {s.mixup:g})",
}
"""What to say of each effect; the order is that of the section."""


def draw_effects(
    images: NDArray[np.uint8], section: AugmentationSection, path: Path, seed: int = 0
) -> Path:
    """Draw every effect of a section that is on by itself, then all of them together, as a PNG.

    A row shows one picture: as it is, then as a training would see it in epochs 0 to 7. Pixel
    values beyond 255, which rescaling makes, are clipped for display only.

    Args:
        images: uint8 (n, H, W, 3), n of 1 or more; each effect takes the next one.
        section: the effects.
        path: of the PNG.
        seed: as a recipe's.

    Returns:
        The path.

    Raises:
        RecipeError: no effect is on.
        OutputError: the path cannot be written.
    """
    on = [name for name in _TITLES if getattr(section, name) != getattr(_OFF, name)]
    if not on:
        raise RecipeError(
            "the recipe has no augmentation to draw; turn one on, "
            "like --set augmentation.rotation=15"
        )
    rows = []
    for number, name in enumerate(on):
        picture = number % len(images)
        seen = in_epochs(images, _alone(section, name), seed)
        rows.append(_row(_TITLES[name](section), images, seen, picture))
    seen = in_epochs(images, section, seed)
    together = range(min(len(images), _MOST_TOGETHER))
    rows.extend(_row("all together", images, seen, picture) for picture in together)
    heading = (
        f"Augmentation\nLeft: the picture as it is. Then: the same in epochs 0 to {_EPOCHS - 1}"
    )
    return contact_sheet.save(path, heading, rows)


_OFF = AugmentationSection()


def _alone(section: AugmentationSection, name: str) -> AugmentationSection:
    """The section with one effect only, and with its fill."""
    kept = {key: getattr(section, key) for key in ("fill", "fill_value", name)}
    return AugmentationSection.model_validate(kept)


def _filled(section: AugmentationSection) -> str:
    return {
        "nearest": "filled by the nearest pixels",
        "reflect": "filled by reflection",
        "wrap": "filled from the other side",
        "constant": f"filled with the value {section.fill_value:g}",
    }[section.fill]


def in_epochs(
    images: NDArray[np.uint8],
    section: AugmentationSection,
    seed: int,
    *,
    epochs: int = _EPOCHS,
    ids: NDArray[np.int64] | None = None,
) -> NDArray[np.uint8]:
    """Pictures as a training sees them in its first epochs; values beyond 255 are clipped.

    Args:
        images: uint8 (n, H, W, 3), n of 1 or more.
        section: the effects.
        seed: as a recipe's.
        epochs: how many.
        ids: int64 (n,), positions in the training split; None: counted from 0.

    Returns:
        uint8 (epochs, n, H, W, 3).
    """
    augment = Augment(section, compiled=False)
    count = len(images)
    seen = []
    for epoch in range(epochs):
        changed, _ = augment(
            tf.cast(images, tf.float32),
            tf.eye(count),
            ids=tf.constant(np.arange(count) if ids is None else ids, tf.int64),
            epoch=tf.constant(epoch, tf.int64),
            seed=tf.constant(seed, tf.int64),
        )
        seen.append(np.clip(np.rint(changed.numpy()), 0, 255).astype(np.uint8))
    return np.stack(seen)


def _row(
    title: str, images: NDArray[np.uint8], seen: NDArray[np.uint8], picture: int
) -> contact_sheet.Row:
    shown = [images[picture], *seen[:, picture]]
    return contact_sheet.Row(title, [contact_sheet.cell(pixels) for pixels in shown], apart=1)
