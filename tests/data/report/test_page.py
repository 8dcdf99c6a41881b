"""The page: all that was found, leaks first, in a browser of any width and colour scheme."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold.data.dataset import open_dataset
from tenfold.data.report import Suspicion, collect, suspects, write_page
from tenfold.errors import OutputError

from ...browser import DESKTOP, PHONE, Open
from ..duplicates.pictures import photographs

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with something wrong of every sort, and names that are no names."""
    root = tmp_path_factory.mktemp("source") / "a 'messy' folder"
    pixels = iter(photographs(80, seed=5))
    for split, count in (("train", 18), ("val", 4), ("test", 6)):
        for label in ("cat", HOSTILE):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count if label == "cat" else count // 4 + 1):
                size = (32 + 7 * number, 32) if number % 3 else (32, 32)
                Image.fromarray(next(pixels)).resize(size).save(folder / f"{number:02}.png")
    leaked = (root / "test" / "cat" / "00.png").read_bytes()
    (root / "train" / "cat" / "leak.png").write_bytes(leaked)
    (root / "train" / HOSTILE / "other label.png").write_bytes(leaked)
    again = (root / "train" / "cat" / "03.png").read_bytes()
    (root / "train" / "cat" / "again.png").write_bytes(again)
    for number in range(3):
        (root / "train" / "cat" / f"broken {number}.jpg").write_bytes(
            b"\xff\xd8\xff" + bytes(number)
        )
    return root


@pytest.fixture(scope="module")
def page(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    dataset = open_dataset(source, cache=folder, most_skipped=1.0)
    labels = dataset.test.labels[dataset.test.indices]
    shares = np.where(np.arange(2) == labels[:, None], 0.9, 0.1).astype(np.float32)
    shares[1] = shares[1, ::-1]
    found = suspects("test", dataset.test.indices, [(labels, shares)], 2, seen=False)
    report = collect(dataset, suspicion=Suspicion("runs/a b", False, (found,)))
    return write_page(report, folder / "data.html")


def test_what_was_found_is_shown_the_leak_first(visit: Open, page: Path) -> None:
    seen = visit(page)
    first = seen.page.locator("main .notice").first.inner_text()
    assert first.startswith("Leak: 1 test picture")
    assert "--set data.drop_leaks=true" in first
    headings = seen.page.locator("h2").all_inner_texts()
    assert headings[:5] == [
        "Summary",
        "Leaks between splits",
        "Duplicates within a split",
        "Suspicious labels",
        "Broken files",
    ]
    leak = seen.page.locator("#leaks .groups > li").first.inner_text()
    assert all(name in leak for name in ("test/cat/00.png", "train/cat/leak.png", HOSTILE))
    assert seen.page.locator("#broken tbody tr").count() == 3
    assert "labelled differently" in leak
    assert HOSTILE in seen.page.locator("#classes tbody").inner_text()
    assert "runs/a b" in seen.page.locator("#labels").inner_text()
    assert seen.page.locator("#mend").inner_text().startswith("tenfold train '")
    assert seen.requests == []


def test_pictures_on_the_page_are_those_of_the_source(visit: Open, page: Path) -> None:
    seen = visit(page)
    address = seen.page.locator("#leaks img").first.get_attribute("src")
    assert address is not None
    import base64

    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))
    np.testing.assert_array_equal(shown, photographs(80, seed=5)[18 + 5 + 4 + 2])


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_barred_and_nothing_overflows(
    visit: Open, page: Path, width: int, scheme: str
) -> None:
    seen = visit(page, width=width, scheme=scheme)
    assert seen.overflow() == 0
    assert seen.barriers() == []


def test_a_sound_source_is_said_to_be_sound(visit: Open, tmp_path: Path) -> None:
    report = collect(open_dataset("digits", cache=tmp_path))
    seen = visit(write_page(report, tmp_path / "data.html"))
    summary = seen.page.locator("#summary").inner_text()
    assert "No leak between splits" in summary
    assert "1,797 pictures are smaller than 16 pixels" in seen.page.locator("#about").inner_text()
    assert seen.page.locator("#leaks, #duplicates, #broken, #labels").count() == 0
    assert seen.barriers() == []


def test_a_place_that_takes_no_file_is_named(tmp_path: Path) -> None:
    report = collect(open_dataset("digits", cache=tmp_path))
    with pytest.raises(OutputError, match="cannot write"):
        write_page(report, tmp_path)
