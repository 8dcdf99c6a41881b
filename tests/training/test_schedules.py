"""Schedules against values computed by hand, and against a plain rendering of their formulae."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.recipe import ScheduleSection
from tenfold.training.schedules import Schedule

NAMES = ("constant", "linear", "cosine", "one-cycle")
names = st.sampled_from(NAMES)
shares = st.floats(0.0, 0.99)


def schedule(name: Any, warmup: float, final: float, peak: float = 2.0, steps: int = 100) -> Any:
    section = ScheduleSection(name=name, warmup=warmup, final=final)
    return Schedule(section, peak, steps)


def rates(of: Schedule, steps: Any) -> np.ndarray:
    return np.asarray(of(np.asarray(steps)), np.float64)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Steps 0, 4, 9 climb to the peak at 10; 55 is half of the way down; 99 is the last.
        ("constant", {0: 0.2, 4: 1.0, 9: 2.0, 10: 2.0, 55: 2.0, 99: 2.0, 100: 2.0}),
        ("linear", {0: 0.2, 4: 1.0, 9: 2.0, 10: 2.0, 55: 1.25, 99: 0.5 + 1.5 / 90, 100: 0.5}),
        ("cosine", {0: 0.2, 4: 1.0, 9: 2.0, 10: 2.0, 55: 1.25, 100: 0.5}),
        ("one-cycle", {0: 0.08, 5: (2 + 0.08) / 2, 10: 2.0, 55: 1.25, 100: 0.5}),
    ],
)
def test_each_shape_passes_through_the_values_that_its_name_promises(
    name: str, expected: dict[int, float]
) -> None:
    of = schedule(name, warmup=0.1, final=0.25)
    np.testing.assert_allclose(rates(of, list(expected)), list(expected.values()), rtol=1e-5)


def plainly(name: str, warmup: float, final: float, peak: float, steps: int, step: int) -> float:
    """The docstring of Schedule, in plain Python."""
    rising = warmup * steps
    if step < rising and name == "one-cycle":
        return peak * (1 - 24 / 25 * (1 + math.cos(math.pi * step / rising)) / 2)
    if step < rising:
        return peak * min(1.0, (step + 1) / rising)
    t = min(1.0, (step - rising) / max(steps - rising, 1.0))
    if name == "constant":
        return peak
    if name == "linear":
        return peak * (1 - (1 - final) * t)
    return peak * (final + (1 - final) * (1 + math.cos(math.pi * t)) / 2)


@settings(max_examples=60, deadline=None)
@given(names, shares, shares, st.floats(1e-5, 10.0), st.integers(1, 5000), st.data())
def test_every_step_has_the_rate_of_the_formula(
    name: str, warmup: float, final: float, peak: float, steps: int, data: st.DataObject
) -> None:
    step = data.draw(st.integers(0, steps))
    expected = plainly(name, warmup, final, peak, steps, step)
    got = float(schedule(name, warmup, final, peak, steps)(step))
    assert got == pytest.approx(expected, rel=1e-3, abs=peak * 1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_the_rate_never_jumps_rises_to_the_peak_and_falls_from_it(name: str, warmup: float) -> None:
    values = rates(schedule(name, warmup, final=0.1, steps=1000), np.arange(1001))
    top = int(warmup * 1000)
    assert np.abs(np.diff(values)).max() < 2.0 * 0.01
    assert values.max() == pytest.approx(2.0)
    assert values[top] == pytest.approx(2.0)
    assert (np.diff(values[: top + 1]) >= -1e-6).all()
    assert (np.diff(values[top:]) <= 1e-6).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("steps", [1, 2, 100])
@pytest.mark.parametrize("warmup", [0.0, 0.5])
def test_every_step_moves_even_where_the_rate_ends_at_0(
    name: str, steps: int, warmup: float
) -> None:
    values = rates(schedule(name, warmup, final=0.0, steps=steps), np.arange(steps))
    assert (values > 0).all()


@pytest.mark.parametrize("name", ["linear", "cosine", "one-cycle"])
def test_the_final_share_is_reached_one_step_after_the_last_and_kept(name: str) -> None:
    of = schedule(name, warmup=0.1, final=0.3)
    assert float(of(99)) > 0.3 * 2.0
    np.testing.assert_allclose(rates(of, [100, 101, 5000]), 0.3 * 2.0, rtol=1e-6)


def test_one_cycle_without_warmup_is_cosine() -> None:
    steps = np.arange(101)
    np.testing.assert_array_equal(
        rates(schedule("one-cycle", 0.0, 0.1), steps), rates(schedule("cosine", 0.0, 0.1), steps)
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_survives_being_written_down(name: str) -> None:
    of = schedule(name, warmup=0.25, final=0.1)
    written = keras.saving.serialize_keras_object(of)
    again = keras.saving.deserialize_keras_object(written)
    np.testing.assert_array_equal(rates(again, np.arange(101)), rates(of, np.arange(101)))


def test_the_table_of_the_documentation_holds() -> None:
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    [steps] = [row[1:] for row in rows if row[:2] == ["Step", "0"]]
    shown = {row[0]: row[1:] for row in rows if row[:1] and len(row) == len(steps) + 1}
    for name in NAMES:
        of = schedule(name, warmup=0.2, final=0.1, peak=1.0)
        assert [f"{of(int(step)):.3f}" for step in steps] == shown[name]
