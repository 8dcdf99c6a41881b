"""A schedule's progress through plans that change."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.recipe import ScheduleSection
from tenfold.training.pace import Pace, Plan
from tenfold.training.schedules import PacedSchedule, Schedule


def progress_of(plans: list[Plan]) -> list[float]:
    """The progress before each step, and after the last, under the plan that holds there."""
    made = []
    for step in range(plans[-1][1] + 1):
        until_now = [plan for plan in plans if plan[0] <= step]
        made.append(Pace(until_now).line.progress(step))
    return made


@st.composite
def plans(draw: st.DrawFn) -> list[Plan]:
    made = [(0, draw(st.integers(2, 200)))]
    for _ in range(draw(st.integers(0, 5))):
        began, ends = made[-1]
        if began + 1 >= ends:
            break
        first = draw(st.integers(began + 1, ends - 1))
        made.append((first, draw(st.integers(first + 1, first + 200))))
    return made


def test_one_plan_is_even() -> None:
    assert progress_of([(0, 4)]) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_new_plan_goes_from_there_to_the_end() -> None:
    # A fifth is done after 2 steps of 10; the rest is to take 4 steps, so a fifth each.
    np.testing.assert_allclose(
        progress_of([(0, 10), (2, 6)]), [0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0], rtol=1e-12
    )


@settings(max_examples=100, deadline=None)
@given(plans())
def test_progress_never_falls_never_jumps_and_comes_to_its_end(plans: list[Plan]) -> None:
    made = progress_of(plans)
    assert made[0] == 0.0
    assert made[-1] == pytest.approx(1.0)
    assert all(ours <= later + 1e-12 for ours, later in pairwise(made))
    for (first, _), before in zip(plans[1:], plans, strict=False):
        led_to = Pace([plan for plan in plans if plan[0] <= before[0]]).line.progress(first)
        assert made[first] == pytest.approx(led_to)


@settings(max_examples=50, deadline=None)
@given(plans())
def test_plans_that_were_written_down_give_the_same_bits(plans: list[Plan]) -> None:
    live = Pace(plans[:1])
    for plan in plans[1:]:
        live.revise(*plan)
    assert Pace(live.plans).line == live.line


@pytest.mark.parametrize(
    "wrong", [[(1, 5)], [(0, 0)], [(0, 5), (5, 9)], [(0, 5), (3, 3)], [(0, 9), (3, 9), (3, 6)]]
)
def test_plans_that_cannot_follow_each_other_are_refused(wrong: list[Plan]) -> None:
    with pytest.raises(ValueError):
        Pace(wrong)


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "one-cycle"])
@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_one_plan_gives_the_rates_of_the_schedule_of_that_length(name: str, warmup: float) -> None:
    section = ScheduleSection.model_validate({"name": name, "warmup": warmup, "final": 0.1})
    paced, steps = PacedSchedule(section, 2.0), np.arange(101)
    paced.follow(Pace([(0, 100)]).line)
    np.testing.assert_allclose(
        np.asarray(paced(steps)), np.asarray(Schedule(section, 2.0, 100)(steps)), rtol=1e-5
    )


@pytest.mark.parametrize("name", ["linear", "one-cycle"])
def test_the_rate_rises_to_its_peak_and_falls_to_its_end_whatever_was_planned(name: str) -> None:
    section = ScheduleSection.model_validate({"name": name, "warmup": 0.2, "final": 0.0})
    paced, rates = PacedSchedule(section, 1.0), []
    plans = [(0, 500), (20, 300), (150, 220), (190, 250)]
    for step in range(250):
        paced.follow(Pace([plan for plan in plans if plan[0] <= step]).line)
        rates.append(float(paced(step)))
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(1.0, abs=0.01)
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) <= 0).all()
    assert np.abs(np.diff(rates)).max() < 0.05
    assert 0 < rates[-1] < 0.01
