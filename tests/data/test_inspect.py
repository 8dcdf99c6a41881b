from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold.data import contact_sheet
from tenfold.data.contact_sheet import Row
from tenfold.data.dataset import Dataset, Split
from tenfold.data.inspect import draw_samples
from tenfold.errors import OutputError


def pictures_of(labels: np.ndarray, size: int = 8) -> np.ndarray:
    """Pictures in one grey each: the class in tens, and the position in units."""
    grey = (labels * 10 + np.arange(len(labels)) % 10).astype(np.uint8)
    return np.tile(grey[:, None, None, None], (1, size, size, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def make_dataset(folder: Path, labels: list[int], names: list[str]) -> Dataset:
    classes = np.array(labels, np.int32)
    store = np.lib.format.open_memmap(
        folder / "images.npy", mode="w+", dtype=np.uint8, shape=(len(labels), 8, 8, 3)
    )
    store[:] = pictures_of(classes)
    store.flush()
    images = np.load(folder / "images.npy", mmap_mode="r")
    positions = np.arange(len(labels))
    return Dataset(
        source="pictures.zip",
        kind="archive",
        fingerprint="f",
        class_names=tuple(names),
        size=8,
        train=Split("train", images, classes, positions[positions % 5 != 0]),
        validation=Split("validation", images, classes, positions[:0]),
        test=Split("test", images, classes, positions[positions % 5 == 0]),
        skipped=(),
    )


@pytest.fixture
def sheet(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What was last drawn: heading and rows."""
    drawn: dict[str, object] = {}
    save = contact_sheet.save

    def keep(path: Path, heading: str, rows: list[Row]) -> Path:
        drawn.update(heading=heading, rows=rows)
        return save(path, heading, rows)

    monkeypatch.setattr(contact_sheet, "save", keep)
    return drawn


def greys(row: Row) -> list[int]:
    return [int(cell[0, 0, 0]) for cell in row.cells]


def test_every_class_has_a_row_of_its_own_training_pictures(
    folder: Path, sheet: dict[str, object]
) -> None:
    dataset = make_dataset(folder, [0, 1, 2] * 20, ["ant", "bee", "cat"])
    path = draw_samples(dataset, folder / "samples.png", per_class=6)
    assert path == folder / "samples.png"
    rows = sheet["rows"]
    assert [row.title for row in rows] == [
        f"{name}: 16 train, 4 test" for name in ("ant", "bee", "cat")
    ]
    for label, row in enumerate(rows):
        assert len(row.cells) == 6
        assert {grey // 10 for grey in greys(row)} == {label}
        # Positions divisible by 5 are the test's.
        assert all(grey % 5 != 0 for grey in greys(row))
    assert sheet["heading"] == "pictures.zip\n3 classes, pictures of 8x8: 48 train, 12 test"


def test_a_small_class_shows_all_it_has(folder: Path, sheet: dict[str, object]) -> None:
    dataset = make_dataset(folder, [1, 0, 1, 1, 1, 1, 1, 1], ["rare", "common"])
    draw_samples(dataset, folder / "samples.png", per_class=5)
    assert [len(row.cells) for row in sheet["rows"]] == [1, 5]


def test_the_seed_draws_the_pictures(folder: Path, sheet: dict[str, object]) -> None:
    dataset = make_dataset(folder, [0, 1] * 50, ["ant", "bee"])
    seen = []
    for seed in (0, 0, 1):
        draw_samples(dataset, folder / "samples.png", seed=seed)
        seen.append([greys(row) for row in sheet["rows"]])
    assert seen[0] == seen[1] != seen[2]


def test_more_than_100_classes_are_cut_with_a_note(folder: Path, sheet: dict[str, object]) -> None:
    # With 121 classes in turn, every class has a picture whose position is not divisible by 5.
    dataset = make_dataset(folder, list(range(121)) * 3, [f"class {n}" for n in range(121)])
    path = draw_samples(dataset, folder / "samples.png", per_class=2)
    assert len(sheet["rows"]) == 100
    assert "The first 100 classes are shown, 21 are not" in sheet["heading"]
    with Image.open(path) as image:
        # In columns of 25 rows, not in one strip of 100.
        assert image.height < 2500


@pytest.mark.parametrize("name", ["$x^2", "日本", "a" * 300, "per cent % {brace} \\n"])
def test_any_class_name_can_be_written(folder: Path, name: str) -> None:
    dataset = make_dataset(folder, [0, 1] * 10, [name, "other"])
    with Image.open(draw_samples(dataset, folder / "samples.png")) as image:
        image.verify()


def test_an_unwritable_path_is_said_in_one_line(folder: Path) -> None:
    dataset = make_dataset(folder, [0, 1] * 10, ["ant", "bee"])
    (folder / "taken").write_text("a file where a folder is needed")
    with pytest.raises(OutputError, match="cannot write"):
        draw_samples(dataset, folder / "taken" / "samples.png")
