import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tenfold.augment import flip

IDS = tf.range(4000, dtype=tf.int64)


def draw(kind: str, epoch: int, seed: int = 0) -> np.ndarray:
    return flip.draw(kind, tf.constant(seed, tf.int64), tf.constant(epoch, tf.int64), IDS).numpy()


def test_mirrors_the_flipped_ones_and_no_others() -> None:
    pictures = np.random.default_rng(0).uniform(0, 255, (6, 4, 5, 3)).astype(np.float32)
    flipped = np.array([True, False, True, True, False, False])
    result = flip.mirror(pictures, flipped).numpy()
    for picture, is_flipped, seen in zip(pictures, flipped, result, strict=True):
        assert np.array_equal(seen, np.fliplr(picture) if is_flipped else picture)


@pytest.mark.parametrize("kind", ["random", "alternate"])
@pytest.mark.parametrize("epoch", [0, 1, 6])
def test_half_of_the_pictures_are_mirrored(kind: str, epoch: int) -> None:
    flipped = draw(kind, epoch)
    assert stats.binomtest(int(flipped.sum()), len(flipped)).pvalue > 1e-4


@pytest.mark.parametrize("epoch", range(4))
def test_alternate_shows_both_sides_in_any_two_epochs_in_a_row(epoch: int) -> None:
    assert np.all(draw("alternate", epoch) ^ draw("alternate", epoch + 1))


def test_random_tosses_again_in_each_epoch() -> None:
    tosses = draw("random", 0) ^ draw("random", 1)
    assert stats.binomtest(int(tosses.sum()), len(tosses)).pvalue > 1e-4


@pytest.mark.parametrize("kind", ["random", "alternate"])
def test_another_seed_mirrors_others(kind: str) -> None:
    differing = draw(kind, 0) ^ draw(kind, 0, seed=1)
    assert stats.binomtest(int(differing.sum()), len(differing)).pvalue > 1e-4
