import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tenfold.augment._random import Stream, split_mix, uniforms

SAMPLE = 20_000


def draw(seed: int = 0, epoch: int = 0, ids: object = range(SAMPLE)) -> np.ndarray:
    return uniforms(
        tf.constant(seed, tf.int64), tf.constant(epoch, tf.int64), tf.constant(ids, tf.int64)
    ).numpy()


def test_generator_gives_the_published_outputs() -> None:
    # The first outputs of the reference implementation in C (Vigna, prng.di.unimi.it) for 1234567.
    state = tf.constant(1234567, tf.uint64)
    assert split_mix(state, tf.range(5)).numpy().tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_numbers_keep_their_streams() -> None:
    # A change here changes every augmented run that was ever made.
    assert {stream.name: stream.value for stream in Stream} == {
        "FLIP": 0,
        "ROTATION": 1,
        "WIDTH_SHIFT": 2,
        "HEIGHT_SHIFT": 3,
        "ZOOM": 4,
        "SHEAR": 5,
        "BRIGHTNESS": 6,
        "CONTRAST": 7,
        "CUTOUT_ROW": 8,
        "CUTOUT_COLUMN": 9,
        "MIXUP": 10,
    }


def test_numbers_are_those_of_nested_generators() -> None:
    def split_mix_reference(state: int, n: int) -> int:
        z = (state + (n + 1) * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    picture = split_mix_reference(split_mix_reference(7, 3), 11)
    expected = [(split_mix_reference(picture, n) >> 11) / 2**53 for n in Stream]
    assert draw(7, 3, [11])[:, 0].tolist() == expected


@pytest.mark.parametrize("stream", Stream)
def test_every_stream_is_uniform_over_pictures(stream: Stream) -> None:
    numbers = draw()[stream]
    assert numbers.min() >= 0.0 and numbers.max() < 1.0
    assert stats.kstest(numbers, "uniform").pvalue > 1e-4


def test_one_picture_is_uniform_over_epochs_and_over_seeds() -> None:
    over_epochs = [draw(epoch=epoch, ids=[5])[:, 0] for epoch in range(100)]
    over_seeds = [draw(seed=seed, ids=[5])[:, 0] for seed in range(100)]
    for sample in (over_epochs, over_seeds):
        assert stats.kstest(np.concatenate(sample), "uniform").pvalue > 1e-4


def test_streams_pictures_epochs_and_seeds_do_not_correlate() -> None:
    numbers = draw()
    pairs = [(numbers[a], numbers[b]) for a, b in itertools.combinations(Stream, 2)]
    pairs += [(row[:-1], row[1:]) for row in numbers]
    pairs += list(zip(numbers, draw(epoch=1), strict=True))
    pairs += list(zip(numbers, draw(seed=1), strict=True))
    pvalues = [stats.pearsonr(a, b).pvalue for a, b in pairs]
    assert min(pvalues) > 1e-3 / len(pairs)


def test_no_two_of_many_draws_are_equal() -> None:
    every = np.concatenate([draw(seed, epoch).ravel() for seed in (0, 1) for epoch in (0, 1)])
    assert len(np.unique(every)) == len(every)


def test_a_number_depends_on_nothing_but_its_own_picture() -> None:
    together = draw(ids=[4, 2**40, 9])
    for column, alone in enumerate([4, 2**40, 9]):
        assert np.array_equal(together[:, [column]], draw(ids=[alone]))
