"""Curves lie where their values are, and every colour of the matrix can be read."""

from __future__ import annotations

import math
import re
from importlib import resources
from itertools import pairwise

import pytest

from tenfold.evaluation import Evaluation
from tenfold.evaluation.report.charts import Chart, Curve, Mark, draw
from tenfold.evaluation.report.confusion import rows

from .test_browser import luminance


def drawn(
    *points: tuple[float, float], percent: bool = False, marks: tuple[Mark, ...] = ()
) -> Chart:
    chart = draw("Loss", [Curve("training", "train", points)], marks, percent=percent)
    assert chart is not None
    return chart


def value_at(chart: Chart, y: float) -> float:
    """What the linear axis says of a height."""
    (low, first), (high, last) = (
        (tick.at, float(tick.label.rstrip("%"))) for tick in (chart.y_ticks[0], chart.y_ticks[-1])
    )
    return first + (last - first) * (y - low) / (high - low)


def test_points_lie_where_the_axes_say() -> None:
    chart = drawn((1, 2.0), (2, 0.5), (4, 1.25))
    (line,) = chart.lines
    assert [value_at(chart, y) for _, y, _ in line.dots] == pytest.approx(
        [2.0, 0.5, 1.25], abs=0.01
    )
    at = {tick.label: tick.at for tick in chart.x_ticks}
    assert [x for x, _, _ in line.dots] == [at["1"], at["2"], at["4"]]
    assert line.segments == (" ".join(f"{x},{y}" for x, y, _ in line.dots),)
    assert all(chart.top <= y <= chart.bottom for _, y, _ in line.dots)


def test_shares_stay_between_0_and_1() -> None:
    chart = drawn((1, 0.02), (2, 1.0), percent=True, marks=(Mark("test", 2, 0.99, 0.97, 1.0),))
    assert (chart.y_ticks[0].label, chart.y_ticks[-1].label) == ("0%", "100%")
    (mark,) = chart.whiskers
    assert value_at(chart, mark.low) == pytest.approx(97, abs=0.5)


@pytest.mark.parametrize("share", [0.0, 0.37, 1.0])
def test_one_value_alone_is_a_dot_within_the_axes(share: float) -> None:
    chart = drawn((1, share), percent=True)
    (line,) = chart.lines
    ((_, y, _),) = line.dots
    assert chart.top <= y <= chart.bottom
    assert value_at(chart, y) == pytest.approx(100 * share, abs=0.5)


def test_values_that_are_not_finite_break_the_curve() -> None:
    chart = drawn((1, 1.0), (2, 0.9), (3, math.nan), (4, math.inf), (5, 0.7), (6, 0.6))
    assert [len(part.split()) for part in chart.lines[0].segments] == [2, 2]
    assert draw("Loss", [Curve("training", "train", [(1, math.nan)])], percent=False) is None


@pytest.mark.parametrize(
    ("values", "percent"),
    [((1e308, -1e308), False), ((5e-324, 1e-310), False), ((1e100, 1.0), False),
     ((2.0, -0.1), True), ((math.inf, math.nan), True)],
)  # fmt: skip
def test_values_without_a_place_on_any_scale_leave_a_gap(
    values: tuple[float, float], percent: bool
) -> None:
    wild = Curve("wild", "train", list(enumerate(values, 1)))
    tame = Curve("tame", "train", [(1, 0.5), (2, 0.75)])
    chart = draw("Loss", [wild, tame], [Mark("test", 1, values[0], 0.1, 0.2)], percent=percent)
    assert chart is not None
    assert [line.name for line in chart.lines if line.name != "wild" or line.dots] == (
        ["tame"] if 1.0 not in values else ["wild", "tame"]
    )
    assert all(0 <= y <= 280 for line in chart.lines for _, y, _ in line.dots)


def test_a_loss_that_explodes_gets_a_logarithmic_scale() -> None:
    chart = drawn((1, 20_000.0), (2, 2.0), (3, 0.2))
    labels = [float(tick.label) for tick in chart.y_ticks]
    assert labels == [0.1, 1, 10, 100, 1000, 1e4, 1e5]
    heights = [tick.at for tick in chart.y_ticks]
    steps = [a - b for a, b in pairwise(heights)]
    assert steps == pytest.approx([steps[0]] * 6, abs=0.2)


def test_a_loss_of_0_on_a_logarithmic_scale_lies_on_the_axis() -> None:
    chart = drawn((1, 1000.0), (2, 0.01), (3, 0.0))
    assert chart.lines[0].dots[-1][1] == chart.bottom


def test_a_long_training_is_drawn_with_few_points_and_no_dots() -> None:
    chart = drawn(*((epoch, 1 / epoch) for epoch in range(1, 100_001)))
    (line,) = chart.lines
    assert len(line.segments[0].split()) <= 400
    assert line.dots == ()


def test_the_curves_are_told_in_words() -> None:
    chart = drawn((1, 2.0), (2, 0.5), marks=(Mark("test", 2, 0.625, 0.6, 0.7),))
    assert chart.description == "training: 2 at epoch 1, 0.5 at epoch 2; test: 0.625."


def test_the_colour_of_a_cell_tells_its_share() -> None:
    test = Evaluation(("a", "b", "c"), (100, 100, 0), ((99, 1, 0), (36, 64, 0), (0, 0, 0)), 0.5)
    found = rows(test)
    assert found is not None
    styles = [[cell.style for cell in row.cells] for row in found]
    assert styles == [["h10", "m1", ""], ["m6", "h8", ""], ["", "", ""]]
    many = Evaluation(("x",) * 101, (1,) * 101, ((0,) * 101,) * 101, 0.5)
    assert rows(many) is None


def test_text_can_be_read_on_every_colour_of_the_matrix() -> None:
    folder = resources.files("tenfold.evaluation.report") / "templates"
    style = (folder / "report.css").read_text("utf-8")
    pattern = r"\.([hm]\d+) \{ background: #(\w{6}); color: #(000|fff); \}"
    found = re.findall(pattern, style)
    names = {f"{kind}{level}" for kind in "hm" for level in range(1, 11)}
    assert len(found) == 2 * len(names)  # light and dark
    assert {name for name, _, _ in found} == names
    for name, background, ink in found:
        red, green, blue = (int(background[at : at + 2], 16) for at in (0, 2, 4))
        lights = sorted([luminance(f"rgb({red}, {green}, {blue})"), float(ink == "fff")])
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5, name
