"""Descriptors: cosine transforms, the mirror's signs, and sizes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from tenfold.data.duplicates.descriptors import EVEN, LENGTH, Weighting, describe, shrink

from .pictures import photographs


def test_descriptors_are_the_lowest_frequencies_of_brightness_and_colour() -> None:
    pictures = photographs(5)
    weights = np.array([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])
    for picture, descriptor in zip(pictures, describe(pictures)[0], strict=True):
        expected: dict[bool, list[float]] = {False: [], True: []}
        for channel, limit in zip(weights, (7, 4, 4), strict=True):
            waves = dctn(picture @ channel, norm="ortho")
            for down in range(limit):
                for across in range(limit - down):
                    if down + across:
                        expected[across % 2 == 1].append(waves[down, across])
        numbers = np.array(expected[False] + expected[True])
        assert (len(expected[False]), len(numbers)) == (EVEN, LENGTH)
        np.testing.assert_allclose(descriptor, numbers / np.linalg.norm(numbers), atol=1e-4)


def test_a_mirror_turns_the_signs_of_the_odd_frequencies() -> None:
    pictures = photographs(20)
    plain, mirrored = describe(pictures)[0], describe(pictures[:, :, ::-1])[0]
    np.testing.assert_allclose(mirrored[:, :EVEN], plain[:, :EVEN], atol=1e-4)
    np.testing.assert_allclose(mirrored[:, EVEN:], -plain[:, EVEN:], atol=1e-4)


def test_flat_pictures_have_none() -> None:
    flat = np.full((3, 32, 32, 3), [[[[0]]], [[[128]]], [[[255]]]], np.uint8)
    flat[1, 5, 5] += 3
    descriptors, _ = describe(flat)
    assert not descriptors.any()
    assert not Weighting().apply(descriptors).any()


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_larger_pictures_shrink_by_the_mean(factor: int) -> None:
    pictures = photographs(3, size=32 * factor)
    for picture, small in zip(pictures, shrink(pictures), strict=True):
        expected = np.asarray(Image.fromarray(picture).reduce(factor)).astype(float)
        assert np.abs(small - expected).max() <= 1


@pytest.mark.parametrize("size", [16, 17, 31, 33, 50, 100])
def test_any_size_gives_nearly_the_descriptor_of_the_same_picture(size: int) -> None:
    large = photographs(10, size=96)
    brought = np.stack(
        [
            np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX))
            for picture in large
        ]
    )
    agreement = np.einsum("nk,nk->n", describe(large)[0], describe(brought)[0])
    assert agreement.min() > 0.97


def test_weighting_centres_even_frequencies_and_evens_out_spreads() -> None:
    descriptors = describe(photographs(500) // 2 + photographs(1, seed=9) // 2)[0]
    weighting = Weighting()
    for part in np.array_split(descriptors, 7):
        weighting.add(part)
    weighted = weighting.apply(descriptors)
    np.testing.assert_allclose(np.linalg.norm(weighted, axis=1), 1, atol=1e-5)
    before = descriptors[:, :EVEN].mean(axis=0)
    assert np.abs(weighted[:, :EVEN].mean(axis=0)).max() < 0.1 < np.abs(before).max()
    spread = [
        values.std(axis=0).max() / values.std(axis=0).min() for values in (descriptors, weighted)
    ]
    assert spread[1] < spread[0]
