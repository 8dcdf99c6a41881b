"""What a report collects: sizes, formats, groups in the order of their gravity."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold.data import Dataset, open_dataset
from tenfold.data.report import DataReport, as_json, collect
from tenfold.data.report.size_chart import HEIGHT, WIDTH, size_chart
from tenfold.data.sources.base import Picture, Source, SplitName

from ..duplicates.pictures import photographs


class Files(Source):
    """Encoded pictures of several sizes and formats, with duplicates of every sort."""

    kind = "files"

    def fingerprint(self) -> str:
        return "files"

    def pictures(self) -> Iterator[Picture]:
        pixels = photographs(40, seed=3)
        pixels[1] = pixels[30]  # training and test
        pixels[2] = pixels[31]  # training and test, and another label
        pixels[6] = pixels[25, :, ::-1]  # training and validation
        pixels[7] = pixels[5]  # within training, and another label
        pixels[9] = pixels[10] = pixels[11]  # within training
        for number, picture in enumerate(pixels):
            split: SplitName = "train" if number < 24 else "validation" if number < 28 else "test"
            form, size = ("PNG", (32, 32)) if number % 4 else ("BMP", (40 + number, 20))
            if number == 0:
                size = (100, 300)
            buffer = io.BytesIO()
            image = Image.fromarray(picture)
            (image if size == (32, 32) else image.resize(size)).save(buffer, form)
            label = "b" if number in (2, 7) or number % 5 == 3 else "a"
            content = b"not a picture" if number == 39 else buffer.getvalue()
            yield Picture(f"{split}/{label}/{number}.x", label, split, content)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> DataReport:
    cache = tmp_path_factory.mktemp("cache")
    return collect(open_dataset(Files("files"), cache=cache, most_skipped=1.0))


def names(report: DataReport) -> list[list[str]]:
    return [[member.name for member in report.members(group)] for group in report.groups]


def test_groups_come_in_the_order_of_their_gravity(report: DataReport) -> None:
    numbers = [sorted(int(name.split("/")[2][:-2]) for name in group) for group in names(report)]
    # Into the test, then other leaks, then other labels, then the rest.
    assert numbers == [[2, 31], [1, 30], [6, 25], [5, 7], [9, 10, 11]]
    flags = [(g.into_test, g.leaks, g.conflict, g.exact) for g in report.groups]
    assert flags == [
        (True, True, True, True),
        (True, True, False, True),
        (False, True, False, False),
        (False, False, True, True),
        (False, False, False, True),
    ]
    assert (report.leaks.test, report.leaks.train_in_test, report.leaks.train_in_validation) == (
        2,
        2,
        1,
    )


def test_a_cut_group_shows_each_split(report: DataReport) -> None:
    assert [m.split for m in report.members(report.groups[0], 2)] == ["test", "train"]
    assert [m.name for m in report.members(report.groups[4], 2)] == ["train/a/9.x", "train/a/10.x"]


def test_sizes_and_formats_are_those_of_the_files(report: DataReport) -> None:
    expected = [
        (100, 300) if n == 0 else (40 + n, 20) if n % 4 == 0 else (32, 32) for n in range(39)
    ]
    sizes = report.sizes
    assert sizes.common[0] == (32, 32, expected.count((32, 32)))
    assert sorted(size[:2] for size in sizes.common) == sorted(set(expected))
    assert sizes.distinct == len(set(expected))
    widths, heights = np.array(expected).T
    middle = len(widths) // 2
    assert sizes.width == (widths.min(), sorted(widths)[middle], widths.max())
    assert sizes.height == (heights.min(), sorted(heights)[middle], heights.max())
    assert sizes.cropped == int((widths != heights).sum())
    assert sizes.enlarged == int((heights < 32).sum())
    assert report.formats == {"PNG": 29, "BMP": 10}


def test_the_object_says_it_all_and_totals_beside_cut_lists(
    report: DataReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = as_json(report)
    assert whole["skipped"] == (("test/a/39.x", whole["skipped"][0][1]),)
    assert whole["duplicates"]["groups_total"] == len(whole["duplicates"]["groups"]) == 5
    assert whole["duplicates"]["groups"][1]["pictures"] == [
        {"name": "test/a/30.x", "split": "test", "label": "a"},
        {"name": "train/a/1.x", "split": "train", "label": "a"},
    ]
    assert whole["leaks"]["train_pictures_in_test"] == 2
    assert whole["counts"]["train"] == report.dataset.train.class_counts(2).tolist()
    assert whole["suspicious"] is None
    monkeypatch.setattr("tenfold.data.report.json_form.MOST_LISTED", 2)
    cut = as_json(report)
    assert (cut["duplicates"]["groups_total"], len(cut["duplicates"]["groups"])) == (5, 2)
    assert (cut["sizes"]["distinct"], len(cut["sizes"]["common"])) == (report.sizes.distinct, 2)


def test_a_dataset_put_together_by_hand_has_no_report(report: DataReport) -> None:
    whole = report.dataset
    by_hand = Dataset(
        whole.source, whole.kind, whole.fingerprint, whole.class_names, whole.size,
        whole.train, whole.validation, whole.test, (),
    )  # fmt: skip
    with pytest.raises(ValueError, match="open_dataset"):
        collect(by_hand)


def test_the_chart_places_each_size_within_the_drawing(report: DataReport, tmp_path: Path) -> None:
    chart = size_chart(report.sizes)
    assert chart is not None
    assert chart.shown == report.total
    assert len(chart.circles) == report.sizes.distinct
    by_width = sorted(chart.circles, key=lambda circle: circle.width)
    assert [c.x for c in by_width] == sorted(c.x for c in by_width)
    assert all(0 < c.x < WIDTH and 0 < c.y < HEIGHT for c in chart.circles)
    areas = {c.count: c.radius**2 for c in chart.circles}
    assert areas[29] / areas[1] == pytest.approx(29, rel=0.1)
    assert len(chart.across) >= 2
    digits = open_dataset("digits", cache=tmp_path)
    assert size_chart(collect(digits).sizes) is None
