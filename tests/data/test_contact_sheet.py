from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold.data.contact_sheet import Row, cell, save


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def find(pixels: np.ndarray, sheet: np.ndarray) -> list[tuple[int, int]]:
    """Rows and columns of the sheet where these pixels begin, bit by bit."""
    height, width = pixels.shape[:2]
    starts = np.argwhere((sheet == pixels[0, 0]).all(axis=-1))
    return [
        (int(y), int(x))
        for y, x in starts
        if np.array_equal(sheet[y : y + height, x : x + width], pixels)
    ]


def test_cells_stand_on_the_sheet_pixel_by_pixel_in_reading_order(tmp_path: Path) -> None:
    cells = [cell(picture) for picture in np.split(noise(8, 8 * 6), 6, axis=1)]
    path = save(
        tmp_path / "sheet.png", "Heading", [Row("one", cells[:3], 1), Row("two", cells[3:])]
    )
    with Image.open(path) as image:
        sheet = np.asarray(image.convert("RGB"))
    places = [find(pixels, sheet) for pixels in cells]
    assert [len(found) for found in places] == [1] * 6
    rows, columns = zip(*(found[0] for found in places), strict=True)
    assert rows[0] == rows[1] == rows[2] < rows[3] == rows[4] == rows[5]
    assert columns[0] == columns[3] < columns[1] < columns[2]
    # The first of "one" stands apart from the others.
    assert columns[1] - columns[0] > columns[2] - columns[1] == columns[4] - columns[3]


@pytest.mark.parametrize(("side", "factor"), [(8, 8), (32, 2), (60, 1), (100, 1)])
def test_a_small_picture_grows_by_a_whole_factor(side: int, factor: int) -> None:
    picture = noise(side, side)
    assert np.array_equal(cell(picture), np.kron(picture, np.ones((factor, factor, 1), np.uint8)))


def test_a_large_picture_shrinks_in_its_proportions() -> None:
    assert cell(noise(512, 1024)).shape == (32, 64, 3)
