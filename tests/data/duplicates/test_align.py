"""How alike two pictures are, once one is laid over the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from tenfold.data.duplicates.align import likeness
from tenfold.data.duplicates.near import LEAST

from .pictures import CHANGES, photographs

Grey = NDArray[np.float32]


def grey(pictures: NDArray[np.uint8]) -> Grey:
    return (pictures.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])).astype(np.float32)


def unmoved(first: Grey, second: Grey) -> float:
    """The correlation without laying anything over anything, by another library's blur."""

    def bare(picture: Grey) -> NDArray[np.float64]:
        weights = np.array([1, 4, 6, 4, 1]) / 16
        blurs = [picture.astype(np.float64)]
        for _ in range(4):
            once = ndimage.correlate1d(blurs[-1], weights, axis=0, mode="nearest")
            blurs.append(ndimage.correlate1d(once, weights, axis=1, mode="nearest"))
        band = (blurs[1] - blurs[4])[3:-3, 3:-3]
        band = band - band.mean(axis=0, keepdims=True)
        return (band - band.mean(axis=1, keepdims=True)).ravel()

    return float(np.corrcoef(bare(first), bare(second))[0, 1])


def test_a_picture_is_like_itself() -> None:
    pictures = grey(photographs(20))
    np.testing.assert_allclose(likeness(pictures, pictures), 1, atol=1e-4)


def test_noise_lowers_the_likeness_as_it_lowers_the_correlation() -> None:
    pictures = grey(photographs(30))
    noise = np.random.default_rng(1).normal(0, 12, pictures.shape).astype(np.float32)
    expected = [unmoved(*pair) for pair in zip(pictures, pictures + noise, strict=True)]
    found = likeness(pictures, pictures + noise)
    assert 0.8 < min(expected) < max(expected) < 0.99
    # Where nothing has moved, laying one over the other finds hardly more than is there.
    assert np.all(found > np.array(expected) - 1e-3)
    assert np.all(found < np.array(expected) + 0.03)


@pytest.mark.parametrize("change", [change for change in CHANGES if "mirrored" not in change])
def test_changed_copies_are_alike_whichever_comes_first(change: str) -> None:
    pictures = photographs(40)
    copies = np.stack([CHANGES[change](picture) for picture in pictures])
    for pair in ((pictures, copies), (copies, pictures)):
        assert np.mean(likeness(*map(grey, pair)) >= LEAST) >= 0.95


@given(gain=st.floats(0.5, 1.5), offset=st.floats(-40, 40), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_brightness_and_contrast_do_not_count(gain: float, offset: float, seed: int) -> None:
    picture = grey(photographs(1, seed=seed))
    alike = likeness(picture, (picture * np.float32(gain) + np.float32(offset)).astype(np.float32))
    assert alike[0] > 0.999


def test_other_pictures_are_not_alike() -> None:
    first, second = grey(photographs(400, seed=1)), grey(photographs(400, seed=2))
    assert likeness(first, second).max() < 0.6


def test_flat_pictures_are_like_nothing() -> None:
    rng = np.random.default_rng(0)
    shades = np.arange(0, 250, 10, dtype=np.float32)
    flat = np.broadcast_to(shades[:, None, None], (25, 32, 32)).astype(np.float32)
    noisy = flat + rng.normal(0, 0.7, flat.shape).astype(np.float32)
    gradient = flat + np.linspace(0, 60, 32, dtype=np.float32)
    for pictures in (flat, noisy, gradient):
        assert not likeness(pictures, pictures).any()


def test_a_horizon_alone_makes_no_duplicate() -> None:
    rng = np.random.default_rng(3)
    horizon = np.where(np.arange(32)[:, None] < 16, 190, 70)
    first, second = (
        (horizon + 0.25 * (grey(photographs(60, seed=seed)) - 128)).astype(np.float32)
        for seed in rng.integers(0, 1000, 2)
    )
    plain = [
        np.corrcoef(*pair)[0, 1]
        for pair in zip(*(x.reshape(60, -1) for x in (first, second)), strict=True)
    ]
    assert min(plain) > 0.9
    assert likeness(first, second).max() < 0.7
