"""How figures read on a page."""

from __future__ import annotations

import math

import pytest

from tenfold.pages import format as text


@pytest.mark.parametrize(
    ("duration", "shown"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (599.4, "9 min 59 s"), (600, "10 min"),
     (11_100, "3 h 5 min"), (math.inf, "—"), (math.nan, "—")],
)  # fmt: skip
def test_durations(duration: float, shown: str) -> None:
    assert text.seconds(duration) == shown


@pytest.mark.parametrize("share", [math.inf, math.nan])
def test_a_share_that_is_no_number_is_a_dash(share: float) -> None:
    assert text.percent(share) == "—"
