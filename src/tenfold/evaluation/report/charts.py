"""Curves as numbers that a template draws: points, ticks and labels in the units of an SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite

WIDTH, HEIGHT = 440, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 18, 40

_MOST_POINTS = 400
"""Of a curve; of more, every so many are drawn."""

_MOST_DOTS = 40
"""A curve of more points is a line without dots."""

_LOG_SPAN = 100.0
"""A loss that spans more than this factor would be flat on a linear scale, but for its start."""


_LARGEST = 1e100
"""No loss is beyond, and the arithmetic of an axis has an end."""


@dataclass(frozen=True)
class Curve:
    """What is measured, before it is drawn.

    Attributes:
        name: stands in the legend.
        style: the class that gives it its colour and width.
        points: x and y; a y that has no place on the scale, such as NaN, leaves a gap.
        dots: whether each point gets a dot.
    """

    name: str
    style: str
    points: Sequence[tuple[float, float]]
    dots: bool = True


@dataclass(frozen=True)
class Mark:
    """One measured value with the interval that it may lie in.

    Attributes:
        name: stands in the legend.
        x: where.
        y: the value.
        low: where its interval begins.
        high: where it ends.
    """

    name: str
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in the SVG's units, and what stands there."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """A curve as it is drawn.

    Attributes:
        name: of the curve.
        style: likewise.
        segments: the points of each unbroken part, as ``<polyline>`` takes them.
        dots: x, y and what to say of it, for each point.
    """

    name: str
    style: str
    segments: tuple[str, ...]
    dots: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True)
class Whisker:
    """A mark as it is drawn: all in the SVG's units."""

    name: str
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Chart:
    """Everything that the template needs to draw curves.

    Attributes:
        title: what is drawn.
        description: the same in words, for who does not see it.
        x_ticks: on the lower axis.
        y_ticks: on the left axis.
        lines: the curves.
        whiskers: the marks.
        kept: where the epoch lies whose weights were kept; None: not marked.
    """

    title: str
    description: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    whiskers: tuple[Whisker, ...]
    kept: float | None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def draw(
    title: str,
    curves: Sequence[Curve],
    marks: Sequence[Mark] = (),
    *,
    percent: bool,
    kept: float | None = None,
) -> Chart | None:
    """Lay out curves over epochs.

    Args:
        title: what is drawn.
        curves: those without a finite value are left out.
        marks: drawn on top.
        percent: values are shares from 0 to 1; else they get a logarithmic scale where they span
            much.
        kept: the epoch to mark.

    Returns:
        None where no value has a place on a scale.
    """
    curves = [_shown(curve, percent) for curve in curves]
    marks = [mark for mark in marks if _has_place(mark.y, percent)]
    curves = [curve for curve in curves if any(isfinite(y) for _, y in curve.points)]
    ys = [y for curve in curves for _, y in curve.points if isfinite(y)]
    ys += [y for mark in marks for y in (mark.low, mark.y, mark.high) if isfinite(y)]
    if not curves:
        return None
    last = max(x for curve in curves for x, _ in curve.points)
    positive = [y for y in ys if y > 0]
    logarithmic = not percent and bool(positive) and max(positive) > _LOG_SPAN * min(positive)
    y_values = _log_ticks(positive) if logarithmic else _linear_ticks(ys, percent)
    if logarithmic:
        low, high = math.log(min(*y_values, *positive)), math.log(max(*y_values, *positive))
    else:
        low, high = y_values[0], y_values[-1]

    def x_at(x: float) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * x / last, 1)

    def y_at(y: float) -> float:
        scaled = (math.log(max(y, math.exp(low))) if logarithmic else y) - low
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * scaled / (high - low), 1)

    def text(y: float) -> str:
        return f"{y:.2%}" if percent else f"{y:.4g}"

    def line(curve: Curve) -> Line:
        points = curve.points[:: -(-len(curve.points) // _MOST_POINTS)]
        dots = [(x_at(x), y_at(y), f"epoch {x:g}: {text(y)}") for x, y in points if isfinite(y)]
        segments = _segments(points, lambda x, y: (x_at(x), y_at(y)))
        lonely = len(segments) == 0  # a curve of one point is a dot, or nothing would be seen
        dotted = lonely or (curve.dots and len(dots) <= _MOST_DOTS)
        return Line(curve.name, curve.style, segments, tuple(dots) if dotted else ())

    return Chart(
        title=title,
        description=_describe(curves, marks, text),
        x_ticks=tuple(Tick(x_at(x), f"{x:,.0f}") for x in _epoch_ticks(last)),
        y_ticks=tuple(Tick(y_at(y), _axis_label(y, y_values, percent)) for y in y_values),
        lines=tuple(map(line, curves)),
        whiskers=tuple(
            Whisker(mark.name, x_at(mark.x), y_at(mark.y), y_at(mark.low), y_at(mark.high))
            for mark in marks
            if isfinite(mark.y)
        ),
        kept=None if kept is None else x_at(kept),
    )


def _has_place(y: float, percent: bool) -> bool:
    """Whether a value can be drawn: a share, or a number with room for the axis around it."""
    return 0 <= y <= 1 if percent else y == 0 or 1 / _LARGEST < abs(y) < _LARGEST


def _shown(curve: Curve, percent: bool) -> Curve:
    points = [(x, y if _has_place(y, percent) else math.nan) for x, y in curve.points]
    return replace(curve, points=points)


def _segments(
    points: Iterable[tuple[float, float]], place: Callable[[float, float], tuple[float, float]]
) -> tuple[str, ...]:
    """The unbroken parts of a curve, as ``<polyline>`` takes them; one point alone is none."""
    parts: list[list[str]] = [[]]
    for x, y in points:
        if isfinite(y):
            parts[-1].append("{},{}".format(*place(x, y)))
        elif parts[-1]:
            parts.append([])
    return tuple(" ".join(part) for part in parts if len(part) > 1)


def _linear_ticks(values: Sequence[float], percent: bool) -> list[float]:
    """Round numbers that enclose all values; shares stay within 0 and 1."""
    from matplotlib.ticker import MaxNLocator

    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.05 * (abs(low) or 1), high + 0.05 * (abs(high) or 1)
    if percent:
        low, high = max(low, 0.0), min(high, 1.0)
    ticks = map(float, MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    return [tick for tick in ticks if not percent or -1e-9 < tick < 1 + 1e-9]


def _log_ticks(values: Sequence[float]) -> list[float]:
    """Powers of 10, or of 10 to a whole power where there would be many, that enclose all."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    step = -(-(high - low) // 6)
    return [10.0**power for power in range(low, high + step, step)]


def _epoch_ticks(last: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    ticks = map(float, MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]).tick_values(0, last))
    return [tick for tick in ticks if 0 <= tick <= last]


def _axis_label(value: float, values: Sequence[float], percent: bool) -> str:
    """As short as tells it from its neighbours."""
    if not percent:
        return f"{value:.4g}"
    step = min(b - a for a, b in pairwise(values))
    return f"{value:.{0 if step > 0.0099 else 1 if step > 0.00099 else 2}%}"


def _describe(curves: Sequence[Curve], marks: Sequence[Mark], text: Callable[[float], str]) -> str:
    parts = []
    for curve in curves:
        finite = [(x, y) for x, y in curve.points if isfinite(y)]
        (first, began), (last, ended) = finite[0], finite[-1]
        parts.append(
            f"{curve.name}: {text(began)} at epoch {first:g}"
            + (f", {text(ended)} at epoch {last:g}" if last > first else "")
        )
    parts += [f"{mark.name}: {text(mark.y)}" for mark in marks if isfinite(mark.y)]
    return "; ".join(parts) + "."
