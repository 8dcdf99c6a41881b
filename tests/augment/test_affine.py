import math

import numpy as np
import pytest
import tensorflow as tf

from tenfold.augment import affine
from tenfold.augment._random import Stream
from tenfold.recipe import AugmentationSection

HEIGHT, WIDTH, COUNT = 20, 30, 50
SECTION = AugmentationSection(rotation=180, width_shift=0.4, height_shift=0.3, zoom=0.5, shear=45)


def draw(section: AugmentationSection, uniform: np.ndarray, flipped: np.ndarray | None = None):
    return affine.draw(
        section, tf.constant(uniform), flipped, tf.constant(HEIGHT), tf.constant(WIDTH)
    ).numpy()


def test_composition_is_each_effect_after_the_other() -> None:
    rng = np.random.default_rng(0)
    uniform = rng.uniform(size=(len(Stream), COUNT))
    flipped = rng.uniform(size=COUNT) < 0.5
    matrices = draw(SECTION, uniform, flipped)

    for n in range(COUNT):
        amount = dict(zip(Stream, 2 * uniform[:, n] - 1, strict=True))
        x, y = start = rng.uniform(-20, 20, size=2)
        if flipped[n]:
            x = -x
        scale = 1 + amount[Stream.ZOOM] * 0.5
        x, y = x * scale, y * scale
        x += y * math.tan(math.radians(amount[Stream.SHEAR] * 45))
        # With y downwards, multiplying by exp(-i angle) turns anticlockwise as seen.
        turned = complex(x, y) * np.exp(-1j * math.radians(amount[Stream.ROTATION] * 180))
        x = turned.real + amount[Stream.WIDTH_SHIFT] * 0.4 * WIDTH
        y = turned.imag + amount[Stream.HEIGHT_SHIFT] * 0.3 * HEIGHT
        assert matrices[n] @ [x, y, 1] == pytest.approx([*start, 1])


@pytest.mark.parametrize(
    ("setting", "stream", "low", "high"),
    [
        # Where the point (10, 5) is taken from at both ends of the range.
        ({"width_shift": 0.4}, Stream.WIDTH_SHIFT, (10 + 12, 5), (10 - 12, 5)),
        ({"height_shift": 0.4}, Stream.HEIGHT_SHIFT, (10, 5 + 8), (10, 5 - 8)),
        ({"zoom": 0.5}, Stream.ZOOM, (20, 10), (10 / 1.5, 5 / 1.5)),
        ({"shear": 45.0}, Stream.SHEAR, (15, 5), (5, 5)),
        ({"rotation": 90.0}, Stream.ROTATION, (5, -10), (-5, 10)),
    ],
)
def test_each_effect_spans_its_range_in_both_directions(
    setting: dict[str, float],
    stream: Stream,
    low: tuple[float, float],
    high: tuple[float, float],
) -> None:
    uniform = np.full((len(Stream), 3), 0.5)
    uniform[stream] = [0.0, 0.5, 1.0]
    places = draw(AugmentationSection.model_validate(setting), uniform) @ [10.0, 5.0, 1.0]
    assert places == pytest.approx(np.array([(*low, 1), (10, 5, 1), (*high, 1)]), abs=1e-9)


def test_whole_pixels_are_what_a_shift_is_rounded_to() -> None:
    section = AugmentationSection(width_shift=2.499 / WIDTH, height_shift=0.1, whole_pixels=True)
    uniform = np.full((len(Stream), 1000), 0.5)
    uniform[Stream.WIDTH_SHIFT] = np.linspace(0, 1, 1000)
    uniform[Stream.HEIGHT_SHIFT] = 0.6  # 0.4 of a pixel down
    places = draw(section, uniform) @ [10.0, 5.0, 1.0]
    columns, times = np.unique(places[:, 0], return_counts=True)
    assert columns.tolist() == [8, 9, 10, 11, 12]
    assert times.min() > 190  # all about as often
    assert set(places[:, 1]) == {5.0}
