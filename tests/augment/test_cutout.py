import numpy as np
import pytest

from tenfold.augment import cutout
from tenfold.augment._random import Stream

HEIGHT, WIDTH = 8, 12


def erase(share: float, row: float, column: float) -> tuple[np.ndarray, np.ndarray]:
    picture = np.random.default_rng(0).uniform(0, 255, (1, HEIGHT, WIDTH, 3)).astype(np.float32)
    uniform = np.zeros((len(Stream), 1))
    uniform[Stream.CUTOUT_ROW], uniform[Stream.CUTOUT_COLUMN] = row, column
    return picture[0], cutout.erase(picture, share, uniform)[0].numpy()


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("row", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("column", [0.0, 0.3, 0.999])
def test_a_square_takes_the_mean_colour_and_the_rest_stays(
    share: float, row: float, column: float
) -> None:
    picture, seen = erase(share, row, column)
    side = max(1, round(share * HEIGHT))
    top, left = int(row * HEIGHT) - side // 2, int(column * WIDTH) - side // 2
    expected = picture.copy()
    for y in range(max(0, top), min(HEIGHT, top + side)):
        for x in range(max(0, left), min(WIDTH, left + side)):
            expected[y, x] = picture.mean(axis=(0, 1), dtype=np.float64)
    np.testing.assert_allclose(seen, expected, atol=1e-4)
