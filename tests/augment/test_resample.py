import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tenfold.augment.resample import Fill, resample

SCIPY_MODES: dict[Fill, str] = {
    "nearest": "nearest",
    "reflect": "reflect",
    "wrap": "grid-wrap",
    "constant": "grid-constant",
}
FILLS = list(SCIPY_MODES)
numbers = st.floats(-3.0, 3.0, allow_subnormal=False)
offsets = st.floats(-40.0, 40.0, allow_subnormal=False)


def scipy_reference(
    picture: np.ndarray, matrix: np.ndarray, fill: Fill, fill_value: float
) -> np.ndarray:
    """The same resampling in SciPy, whose places are (row, column) from the first pixel."""
    swapped = matrix[[1, 0]][:, [1, 0, 2]]
    centre = (np.array(picture.shape[:2]) - 1) / 2
    offset = swapped[:, 2] + centre - swapped[:, :2] @ centre
    channels = [
        ndimage.affine_transform(
            channel, swapped[:, :2], offset, order=1, mode=SCIPY_MODES[fill], cval=fill_value
        )
        for channel in np.moveaxis(picture.astype(np.float64), -1, 0)
    ]
    return np.stack(channels, axis=-1)


def identity(count: int) -> np.ndarray:
    return np.tile(np.eye(3), (count, 1, 1))


@pytest.mark.parametrize("fill", FILLS)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    linear=st.tuples(numbers, numbers, numbers, numbers),
    offset=st.tuples(offsets, offsets),
    fill_value=st.floats(0.0, 255.0),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=50, deadline=None)
def test_agrees_with_scipy_for_any_affine_map(
    fill: Fill,
    height: int,
    width: int,
    linear: tuple[float, float, float, float],
    offset: tuple[float, float],
    fill_value: float,
    seed: int,
) -> None:
    picture = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    a, b, c, d = linear
    matrix = np.array([[a, b, offset[0]], [c, d, offset[1]], [0, 0, 1]])
    result = resample(picture[np.newaxis], matrix[np.newaxis], fill, fill_value)[0].numpy()
    # A place of up to 100 pixels is known to 1e-5 in float32; a pixel's value may change by 255
    # for each pixel of the way.
    np.testing.assert_allclose(
        result, scipy_reference(picture, matrix, fill, fill_value), atol=0.02
    )


@pytest.mark.parametrize("fill", FILLS)
def test_every_picture_has_its_own_matrix(fill: Fill) -> None:
    rng = np.random.default_rng(1)
    pictures = rng.uniform(0, 255, (16, 32, 24, 3)).astype(np.float32)
    matrices = identity(16)
    matrices[:, :2] += rng.uniform(-0.8, 0.8, (16, 2, 3)) * [1, 1, 20]
    results = tf.function(resample, jit_compile=True)(pictures, matrices, fill, 90.0).numpy()
    for picture, matrix, result in zip(pictures, matrices, results, strict=True):
        np.testing.assert_allclose(result, scipy_reference(picture, matrix, fill, 90.0), atol=0.02)


@pytest.mark.parametrize(
    ("fill", "left_of_it"),
    [
        ("nearest", [1, 1, 1, 1]),
        ("reflect", [4, 3, 2, 1]),
        ("wrap", [1, 2, 3, 4]),
        ("constant", [7, 7, 7, 7]),
    ],
)
def test_fills_read_as_documented(fill: Fill, left_of_it: list[int]) -> None:
    row = np.array([1, 2, 3, 4], np.float32).reshape(1, 1, 4, 1)
    by_its_width = identity(1)
    by_its_width[0, 0, 2] = -4.0
    assert resample(row, by_its_width, fill, 7.0).numpy().ravel().tolist() == left_of_it


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (32, 32)])
def test_what_only_moves_pixels_is_exact(fill: Fill, shape: tuple[int, int]) -> None:
    pictures = np.random.default_rng(2).uniform(0, 255, (3, *shape, 3)).astype(np.float32)
    mirrored = identity(3)
    mirrored[:, 0, 0] = -1.0
    assert np.array_equal(resample(pictures, identity(3), fill), pictures)
    assert np.array_equal(resample(pictures, mirrored, fill), pictures[:, :, ::-1])


def test_wrap_stays_inside_where_rounding_reaches_the_far_edge() -> None:
    # -1e-9 modulo 1 is 1 in float32, which is no pixel of a picture one pixel wide.
    hair = identity(1)
    hair[0, 0, 2] = -1e-9
    assert resample(np.full((1, 1, 1, 1), 5, np.float32), hair, "wrap").numpy().item() == 5.0
