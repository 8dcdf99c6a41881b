"""A report in a real browser: phone and desktop, light and dark, on paper, without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.evaluation.report import write_report

from ...browser import DESKTOP, PHONE, Open
from .conftest import MakeRun, predictions
from .test_page import HOSTILE

KINDS = {
    "hostile": {
        "names": [*HOSTILE, "b", "c"],
        "skipped": [["x" * 200, "<b>bad</b>"]],
        "findings": ["3 pictures are in both splits"],
    },
    "compact": {
        "names": [f"class {n}" for n in range(31)],
        "predicted": predictions(31, 500, skill=4.0),
        "temperature": 1.5,
        "epochs": 200,
    },
    "unfinished": {"finished": False, "epochs": 3, "nan_from": 3, "validation": False},
}


@pytest.fixture
def report(make_run: MakeRun, request: pytest.FixtureRequest) -> Path:
    return write_report(make_run(**KINDS[request.param]))


@pytest.mark.parametrize(
    ("report", "width", "scheme"),
    [
        ("hostile", PHONE, "dark"),
        ("hostile", DESKTOP, "light"),
        ("compact", DESKTOP, "dark"),
        ("unfinished", PHONE, "light"),
    ],
    indirect=["report"],
)
def test_it_bars_nobody_and_asks_nobody(visit: Open, report: Path, width: int, scheme: str) -> None:
    seen = visit(report, width=width, scheme=scheme)
    seen.page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    assert seen.overflow() == 0
    assert seen.barriers() == []
    assert seen.requests == []


@pytest.mark.parametrize("report", ["compact"], indirect=True)
def test_curves_follow_the_dark(visit: Open, report: Path) -> None:
    script = "getComputedStyle(document.querySelector('g.train polyline')).stroke"
    light, dark = (visit(report, scheme=scheme).page.evaluate(script) for scheme in SCHEMES)
    assert luminance(light) < 0.2 < 0.4 < luminance(dark)


SCHEMES = ("light", "dark")


@pytest.mark.parametrize("report", ["compact"], indirect=True)
def test_headings_of_the_matrix_stay_in_sight(visit: Open, report: Path) -> None:
    seen = visit(report, width=PHONE)
    seen.page.get_by_label("Confusion matrix").evaluate("e => e.scrollTo(300, 400)")
    box = seen.page.get_by_label("Confusion matrix").bounding_box()
    row = seen.page.locator(".confusion tbody th").nth(20).bounding_box()
    column = seen.page.locator(".confusion thead th").nth(20).bounding_box()
    assert box and row and column
    assert row["x"] == pytest.approx(box["x"], abs=2)
    assert column["y"] == pytest.approx(box["y"], abs=2)


@pytest.mark.parametrize("report", ["hostile"], indirect=True)
def test_the_command_is_copied_and_classes_are_sorted(visit: Open, report: Path) -> None:
    seen = visit(report)
    seen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    seen.page.get_by_role("button", name="Copy").click()
    seen.page.get_by_text("Copied").wait_for()
    copied = seen.page.evaluate("navigator.clipboard.readText()")
    assert copied == seen.page.inner_text("#reproduce-command").strip()

    seen.page.get_by_role("button", name="recall").click()
    values = seen.page.locator("#classes tbody td:nth-child(4)").all_inner_texts()
    shares = [float(value.strip().rstrip("%")) for value in values]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("report", ["compact"], indirect=True)
def test_paper_gets_dark_ink_and_all_of_the_tables(visit: Open, report: Path) -> None:
    seen = visit(report, scheme="dark", scripts=False)
    assert not seen.page.is_visible("text=Copy")
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert not seen.page.is_visible("nav")
    body = "getComputedStyle(document.body)"
    assert luminance(seen.page.evaluate(f"{body}.color")) < 0.1
    assert luminance(seen.page.evaluate(f"{body}.backgroundColor")) > 0.9
    clipped = "e => e.scrollHeight - e.clientHeight"
    assert seen.page.get_by_label("Scores by class").evaluate(clipped) == 0


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)``, as WCAG 2 defines it."""
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
