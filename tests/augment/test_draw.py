from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold.augment.draw import _TITLES, LAB, draw_effects
from tenfold.data import contact_sheet
from tenfold.data.contact_sheet import Row
from tenfold.errors import RecipeError
from tenfold.recipe import AugmentationSection

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """The rows of every sheet that is drawn."""
    drawn: list[Row] = []
    save = contact_sheet.save

    def keep(path: Path, heading: str, rows: list[Row]) -> Path:
        drawn.extend(rows)
        return save(path, heading, rows)

    monkeypatch.setattr(contact_sheet, "save", keep)
    return drawn


def test_the_lab_is_drawn_effect_by_effect_then_together(rows: list[Row], tmp_path: Path) -> None:
    path = draw_effects(PICTURES, LAB, tmp_path / "lab.png")
    assert [row.title for row in rows] == [
        "rotation up to 180 degrees either way, filled by the nearest pixels",
        "width shift up to 0.4 of the width, filled by the nearest pixels",
        "height shift up to 0.4 of the height, filled by the nearest pixels",
        "horizontal flip, random",
        "rescale: pixel values times 2 (shown clipped at 255)",
        "all together",
        "all together",
        "all together",
    ]
    with Image.open(path) as sheet:
        sheet.verify()


def test_a_row_shows_the_picture_then_its_epochs(rows: list[Row], tmp_path: Path) -> None:
    draw_effects(PICTURES, AugmentationSection(rescale=2, flip="alternate"), tmp_path / "a.png")
    flip, rescale = rows[0].cells, rows[1].cells
    original = contact_sheet.cell(PICTURES[0])
    sides = [original, original[:, ::-1]]
    assert np.array_equal(flip[0], original)
    first = 0 if np.array_equal(flip[1], original) else 1
    for epoch, seen in enumerate(flip[1:]):
        assert np.array_equal(seen, sides[(first + epoch) % 2])
    doubled = np.minimum(2 * PICTURES[1].astype(int), 255)
    assert np.array_equal(rescale[1], contact_sheet.cell(doubled.astype(np.uint8)))


def test_every_effect_of_a_recipe_has_a_title() -> None:
    no_effects = {"fill", "fill_value", "whole_pixels"}
    assert set(_TITLES) == set(AugmentationSection.model_fields) - no_effects


def test_nothing_to_draw_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no augmentation to draw; turn one on"):
        draw_effects(PICTURES, AugmentationSection(), tmp_path / "none.png")
    assert not list(tmp_path.iterdir())
