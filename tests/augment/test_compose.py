from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tenfold.augment import Augment, build
from tenfold.recipe import AugmentationSection

COUNT, CLASSES = 8, 4
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (COUNT, 16, 16, 3)).astype(np.float32)
LABELS = np.eye(CLASSES, dtype=np.float32)[RNG.integers(0, CLASSES, COUNT)]
IDS = np.arange(100, 100 + COUNT)

GEOMETRY: dict[str, Any] = {
    "rotation": 180,
    "width_shift": 0.4,
    "height_shift": 0.4,
    "zoom": 0.3,
    "shear": 30,
    "flip": "random",
}
REST: dict[str, Any] = {"rescale": 2, "brightness": 0.3, "contrast": 0.4, "cutout": 0.4}
EVERYTHING = AugmentationSection.model_validate(GEOMETRY | REST)
EACH_ALONE = [{name: value} for name, value in (GEOMETRY | REST | {"mixup": 0.5}).items()]


@cache
def compiled(section: AugmentationSection) -> Augment:
    """Compiling takes a second, so tests share what they can."""
    augment = build(section)
    assert augment is not None
    return augment


def apply(
    section: AugmentationSection,
    positions: Any = slice(None),
    epoch: int = 0,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    images, labels = compiled(section)(
        tf.constant(IMAGES[positions]),
        tf.constant(LABELS[positions]),
        ids=tf.constant(IDS[positions], tf.int64),
        epoch=tf.constant(epoch, tf.int64),
        seed=tf.constant(seed, tf.int64),
    )
    return images.numpy(), labels.numpy()


def test_a_section_with_nothing_on_builds_nothing() -> None:
    assert build(AugmentationSection()) is None
    assert build(AugmentationSection(fill="constant", fill_value=9)) is None


@pytest.mark.parametrize("setting", EACH_ALONE, ids=lambda setting: next(iter(setting)))
def test_each_effect_by_itself_changes_pictures(setting: dict[str, Any]) -> None:
    section = AugmentationSection.model_validate(setting)
    images, labels = apply(section)
    assert images.shape == IMAGES.shape and images.dtype == np.float32
    assert labels.shape == LABELS.shape and labels.dtype == np.float32
    assert not np.array_equal(images, IMAGES)
    assert np.array_equal(labels, LABELS) == (section.mixup == 0.0)


def test_the_same_arguments_give_the_same_bits() -> None:
    again = Augment(EVERYTHING)(
        IMAGES,
        LABELS,
        ids=tf.constant(IDS, tf.int64),
        epoch=tf.constant(0, tf.int64),
        seed=tf.constant(0, tf.int64),
    )
    assert np.array_equal(apply(EVERYTHING)[0], again[0])


@pytest.mark.parametrize("positions", [[5], list(range(COUNT))[::-1], [1, 2, 4, 7, 0, 6, 3]])
def test_a_picture_changes_alike_in_any_batch(positions: list[int]) -> None:
    assert np.array_equal(apply(EVERYTHING, positions)[0], apply(EVERYTHING)[0][positions])


@pytest.mark.parametrize("change", [{"epoch": 1}, {"seed": 1}])
def test_every_picture_changes_otherwise_in_another_epoch_or_seed(change: dict[str, int]) -> None:
    before, after = apply(EVERYTHING)[0], apply(EVERYTHING, **change)[0]
    assert all(not np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_pictures_with_equal_pixels_change_each_in_its_own_way() -> None:
    images, _ = compiled(EVERYTHING)(
        tf.constant(np.repeat(IMAGES[:1], COUNT, axis=0)),
        tf.constant(LABELS),
        ids=tf.constant(IDS, tf.int64),
        epoch=tf.constant(0, tf.int64),
        seed=tf.constant(0, tf.int64),
    )
    assert len(np.unique(images, axis=0)) == COUNT


def test_turning_one_effect_on_leaves_the_draws_of_the_others() -> None:
    plain, doubled = AugmentationSection(contrast=0.5), AugmentationSection(contrast=0.5, rescale=2)
    assert np.array_equal(2 * apply(plain)[0], apply(doubled)[0])


def test_rescale_multiplies_and_does_not_clip() -> None:
    assert np.array_equal(apply(AugmentationSection(rescale=2))[0], 2 * IMAGES)


def test_brightness_is_clipped_before_rescale() -> None:
    images, _ = apply(AugmentationSection(brightness=1.0, rescale=2))
    assert images.min() == 0.0 and images.max() == 510.0


def test_a_flip_amid_geometry_is_the_flip_by_itself() -> None:
    flipped, _ = apply(AugmentationSection(flip="random"))
    # A shift of a millionth of a pixel switches resampling on, and moves nothing to speak of.
    resampled, _ = apply(AugmentationSection(flip="random", width_shift=1e-6 / 16))
    np.testing.assert_allclose(resampled, flipped, atol=1e-2)
    assert not np.allclose(flipped, IMAGES)


def test_mixup_blends_what_the_other_effects_made() -> None:
    alone = AugmentationSection(contrast=0.5, cutout=0.5)
    images, labels = apply(AugmentationSection(contrast=0.5, cutout=0.5, mixup=1.0))
    made, _ = apply(alone)
    np.testing.assert_allclose(labels.sum(axis=1), 1.0, atol=1e-6)
    following = np.roll(made, -1, axis=0)
    for n in range(COUNT):
        # Solve for the weight from the pixels, then look for it in the labels.
        difference = (made[n] - following[n]).ravel()
        weight = difference @ (images[n] - following[n]).ravel() / (difference @ difference)
        expected = weight * LABELS[n] + (1 - weight) * LABELS[(n + 1) % COUNT]
        np.testing.assert_allclose(labels[n], expected, atol=1e-4)


def test_runs_inside_a_dataset_with_a_short_last_batch() -> None:
    augment = compiled(EVERYTHING)
    batches = (
        tf.data.Dataset.from_tensor_slices((IMAGES, LABELS, IDS.astype(np.int64)))
        .batch(7)
        .map(
            lambda images, labels, ids: augment(
                images,
                labels,
                ids=ids,
                epoch=tf.constant(0, tf.int64),
                seed=tf.constant(0, tf.int64),
            ),
            num_parallel_calls=2,
        )
    )
    assert batches.element_spec[0].shape.as_list() == [None, 16, 16, 3]
    together = np.concatenate([images.numpy() for images, _ in batches])
    assert np.array_equal(together, apply(EVERYTHING)[0])
