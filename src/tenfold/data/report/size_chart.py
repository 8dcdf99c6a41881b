"""Where the sizes of pictures lie: circles over width and height, on logarithmic scales."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tenfold.data.report.facts import Sizes

WIDTH, HEIGHT = 480, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 12, 44
_TICKS = [base * 10**power for power in range(7) for base in (1, 2, 5)]
_SMALLEST, _ONE, _LARGEST = 1.5, 3.5, 24.0
"""Radii: the least of any, that of one picture where there is room for it, the largest of any."""
_MOST = 400


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where it lies in the drawing, and what it says."""

    place: float
    text: str


@dataclass(frozen=True)
class Circle:
    """A size of pictures: where it lies, how large it is drawn, and what it stands for."""

    x: float
    y: float
    radius: float
    width: int
    height: int
    count: int


@dataclass(frozen=True)
class SizeChart:
    """The drawing.

    Attributes:
        across: ticks of the widths.
        up: ticks of the heights.
        circles: the largest first, so that small ones lie on top.
        square: from where to where the line of square pictures goes: x and y, twice.
        shown: how many pictures the circles stand for.
    """

    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    circles: tuple[Circle, ...]
    square: tuple[float, float, float, float] | None
    shown: int


def size_chart(sizes: Sizes) -> SizeChart | None:
    """Draw sizes; None where all pictures have the same one. Of many, the most frequent."""
    if sizes.distinct < 2:
        return None
    across = _Axis(sizes.width[0], sizes.width[2], _LEFT, WIDTH - _RIGHT)
    up = _Axis(sizes.height[0], sizes.height[2], HEIGHT - _BOTTOM, _TOP)
    one = min(_ONE, _LARGEST / math.sqrt(max(count for _, _, count in sizes.common)))
    circles = tuple(
        Circle(
            across.place(width),
            up.place(height),
            round(max(_SMALLEST, one * math.sqrt(count)), 1),
            width,
            height,
            count,
        )
        for width, height, count in sizes.common[:_MOST]
    )
    low, high = max(across.low, up.low), min(across.high, up.high)
    square = None
    if low < high:
        square = (across.place(low), up.place(low), across.place(high), up.place(high))
    return SizeChart(across.ticks(), up.ticks(), circles, square, sum(c.count for c in circles))


class _Axis:
    """A logarithmic scale with a margin of a sixth of its range at each end."""

    def __init__(self, least: int, largest: int, begin: float, end: float) -> None:
        margin = max(largest / least, 2) ** (1 / 6)
        self.low, self.high = least / margin, largest * margin
        self._begin, self._end = begin, end

    def place(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self._begin + share * (self._end - self._begin), 1)

    def ticks(self) -> tuple[Tick, ...]:
        within = [value for value in _TICKS if self.low <= value <= self.high]
        if not within:
            middle = round(math.sqrt(self.low * self.high))
            within = [middle]
        step = math.ceil(len(within) / 7)
        return tuple(Tick(self.place(value), f"{value:,}") for value in within[::step])
