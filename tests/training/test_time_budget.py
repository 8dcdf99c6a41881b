"""Trainings on simulated computers: they end in time, and their schedules come to their ends."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tenfold.training.pace import Pace
from tenfold.training.time_budget import (
    Phases,
    Planner,
    TimeBudgetError,
    in_words,
    parse_time,
)

Cost = Callable[[float, float], float]
"""Seconds that a step takes, by the seconds used and the progress of the schedule."""


@dataclass
class Simulated:
    """A computer, and a training on it.

    Attributes:
        budget: seconds.
        step: what one takes.
        setup: seconds before the first step is done, half of them to build it.
        validation: seconds that one takes.
        finishing: seconds that evaluations take after the last step.
        steps_per_epoch: likewise.
        most: steps.
        phases: what the planner is told of costs.
    """

    budget: float
    step: Cost
    setup: float = 4.0
    validation: float = 0.0
    finishing: float = 0.0
    steps_per_epoch: int = 100
    most: int = 10**9
    phases: Phases | None = None

    def train(self) -> Outcome:
        planner = Planner(self.budget, self.steps_per_epoch, self.most, self.phases)
        used, done, longest, progress = self.setup, 1, 0.0, [0.0]
        # As it is estimated; what comes of it is half of that for the evaluations.
        planner.built(
            used,
            building=self.setup / 2,
            validation=self.validation,
            finishing=self.finishing / 2,
            step=done,
        )
        while True:
            line = planner.pace.line
            progress.append(line.progress(done))
            if done >= planner.steps:
                break
            if done % self.steps_per_epoch == 0:
                used += self.validation
                planner.validated(used)
            took = self.step(used, line.progress(done))
            used, done = used + took, done + 1
            longest = max(longest, took)
            planner.stepped(done, used)
        end = used + self.validation + self.finishing + 1.5 * self.setup / 2
        return Outcome(end, done, longest, progress, planner.pace)


@dataclass
class Outcome:
    """When it was over, the steps done, the longest one, and the progress before each."""

    end: float
    steps: int
    longest: float
    progress: list[float]
    pace: Pace

    def assert_in_time(self, budget: float, *, at_least: float = 0.9) -> None:
        assert at_least * budget <= self.end <= 1.05 * budget
        self.assert_complete()

    def assert_complete(self) -> None:
        assert self.progress[-1] == pytest.approx(1.0)
        assert self.progress == sorted(self.progress)


budgets = st.sampled_from([20.0, 60.0, 600.0])
shares = st.floats(0.0005, 0.004)
"""Of its budget that a step takes: hundreds of steps, and a test in a moment."""


@settings(max_examples=60, deadline=None)
@given(budgets, shares, st.floats(0.0, 1.0), st.integers(20, 5000))
def test_a_steady_computer_uses_the_budget_in_full_and_plans_once(
    budget: float, share: float, validation: float, steps_per_epoch: int
) -> None:
    seconds = share * budget
    # A validation does not take more than the epoch before it.
    validation *= min(1.0, steps_per_epoch * seconds)
    simulated = Simulated(
        budget, lambda *_: seconds, validation=validation, steps_per_epoch=steps_per_epoch
    )
    outcome = simulated.train()
    # What is left may be an epoch's validation that does not fit any more.
    outcome.assert_in_time(budget, at_least=0.97 - (validation + seconds) / budget)
    assert len(outcome.pace.plans) == 2


@settings(max_examples=60, deadline=None)
@given(budgets, shares, st.floats(0.1, 4.0), st.floats(0.2, 0.8))
@example(20.0, 1 / 256, 3.0, 0.75)  # where the last plan is for a single step
def test_a_computer_whose_speed_changes_midway_still_ends_in_time(
    budget: float, share: float, factor: float, when: float
) -> None:
    seconds = share * budget
    simulated = Simulated(
        budget, lambda used, _: seconds * (factor if used > when * budget else 1.0), validation=0.1
    )
    outcome = simulated.train()
    outcome.assert_in_time(budget)
    assert len(outcome.pace.plans) < 60


@settings(max_examples=40, deadline=None)
@given(budgets, shares, st.floats(0.0, 1.0), st.integers(0, 2**32))
def test_jitter_neither_makes_it_late_nor_nervous(
    budget: float, share: float, jitter: float, seed: int
) -> None:
    seconds = share * budget
    drawn = random.Random(seed)
    simulated = Simulated(
        budget, lambda *_: seconds * drawn.uniform(1 - 0.9 * jitter, 1 + jitter), validation=0.1
    )
    outcome = simulated.train()
    outcome.assert_in_time(budget)
    assert len(outcome.pace.plans) < 60


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([60.0, 600.0]), shares, st.floats(1.5, 10.0), st.floats(0.1, 0.9))
def test_steps_that_will_cost_more_are_reckoned_with_from_the_start(
    budget: float, share: float, cost: float, cheap: float
) -> None:
    seconds = share * budget / cost
    phases = Phases(((cheap, 1.0), (1 - cheap, cost)))

    def step(used: float, progress: float) -> float:
        return seconds * (1.0 if progress < cheap else cost)

    outcome = Simulated(budget, step, phases=phases).train()
    outcome.assert_in_time(budget)
    uninformed = Simulated(budget, step).train()
    assert len(outcome.pace.plans) <= 4  # at the step of the change, costs are off by a step
    assert len(outcome.pace.plans) < len(uninformed.pace.plans)


@settings(max_examples=40, deadline=None)
@given(st.integers(10, 400), st.floats(0.001, 0.01))
def test_the_longest_training_is_a_ceiling(most: int, seconds: float) -> None:
    outcome = Simulated(60.0, lambda *_: seconds, most=most).train()
    assert outcome.steps == most
    assert outcome.pace.plans == ((0, most),)
    outcome.assert_complete()


@settings(max_examples=40, deadline=None)
@given(st.floats(0.3, 3.0), st.floats(0.0, 2.0))
def test_slow_steps_end_in_time_too(seconds: float, validation: float) -> None:
    outcome = Simulated(60.0, lambda *_: seconds, validation=validation).train()
    assert outcome.end <= 1.05 * 60.0
    outcome.assert_complete()


def test_a_budget_of_less_than_an_epoch_ends_within_it() -> None:
    outcome = Simulated(
        60.0, lambda *_: 0.05, validation=2.0, finishing=3.0, steps_per_epoch=5000
    ).train()
    outcome.assert_in_time(60.0)
    # 60 s less 2% leave 58.8, of which 4 + 1.5 * 2 are building, 2 the validation, 1.5 * 1.5 the
    # test, by the speed of a validation; it then takes 3.
    assert outcome.steps == pytest.approx(47.55 / 0.05, abs=2)


def test_a_step_longer_than_all_that_was_left_ends_the_training_there() -> None:
    def step(used: float, progress: float) -> float:
        return 0.05 if used < 30 else 45.0

    outcome = Simulated(60.0, step).train()
    assert outcome.end < 60 + 45
    assert outcome.progress[-1] < 1.0


def test_the_first_second_of_a_busy_computer_does_not_decide_the_length() -> None:
    outcome = Simulated(60.0, lambda used, _: 0.2 if used < 6 else 0.02).train()
    outcome.assert_in_time(60.0)
    assert outcome.steps > 2000  # 250 were planned


@settings(max_examples=60, deadline=None)
@given(st.floats(0.5, 30.0), st.floats(0.02, 0.1), st.floats(0.5, 10.0), st.floats(0.0, 5.0))
def test_too_short_a_time_is_refused_with_one_that_does(
    budget: float, seconds: float, setup: float, validation: float
) -> None:
    def train(budget: float) -> Outcome:
        return Simulated(budget, lambda *_: seconds, setup=setup, validation=validation).train()

    try:
        train(budget)
    except TimeBudgetError as error:
        message = str(error)
    else:
        assume(False)
    assert "is too short: this computer needs about" in message
    enough = parse_time(message.partition("give it ")[2].partition(" or more")[0])
    assert budget < enough
    assert train(enough).end <= 1.05 * enough


@pytest.mark.parametrize("at", [150, 400])
def test_going_on_from_what_was_kept_needs_no_other_plan(at: int) -> None:
    def begin() -> Planner:
        planner = Planner(60.0, 1000, 10**6)
        planner.built(2.0, building=2.0, validation=0.5, finishing=0.5, step=1)
        return planner

    def go_on(planner: Planner, done: int, used: float, last: int) -> float:
        while done < min(last, planner.steps):
            done, used = done + 1, used + 0.1
            planner.stepped(done, used)
        return used

    whole, first = begin(), begin()
    go_on(whole, 1, 2.0, 10**6)
    used = go_on(first, 1, 2.0, at)
    numbers, plans = first.to_numbers()
    again = Planner(60.0, 1000, 10**6)
    again.from_numbers(numbers, plans)
    again.built(used + 0.1, building=2.0, validation=9.0, finishing=0.5, step=at + 1)
    go_on(again, at + 1, used + 0.1, 10**6)
    assert again.pace.plans == whole.pace.plans


def test_going_on_with_nothing_left_ends_at_once() -> None:
    planner = Planner(60.0, 1000, 10**6)
    planner.from_numbers(
        {"decided": True, "cut": None, "seconds_a_step": 0.1, "validation": 0.5}, [(0, 500)]
    )
    planner.built(59.0, building=2.0, validation=0.5, finishing=0.5, step=100)
    assert planner.steps == 100


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        *(("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h", 3600), ("1 h 5 s", 3605)),
        *(("1.5m", 90), (" 2M ", 120), (20, 20), (0.5, 0.5)),
    ],
)
def test_a_time_is_read(given: str | float, seconds: float) -> None:
    assert parse_time(given) == seconds


@pytest.mark.parametrize(
    "given",
    ["0", "0s", "soon", "", "10", "-5m", "m", "5m1h", "1e3s", "9999999h", 0, -1, float("nan")],
)
def test_what_is_no_time_is_refused_in_one_line(given: str | float) -> None:
    with pytest.raises(TimeBudgetError, match=r"is no time to train for; write it like 90s, 10m"):
        parse_time(given)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((20, "20 s"), (59.72, "59.7 s"), (60.2, "60.2 s"), (591.3, "9 min 51 s")),
        *((600, "10 min"), (5400, "1 h 30 min"), (3599.9, "1 h")),
    ],
)
def test_a_time_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_the_mean_cost_of_what_is_left() -> None:
    phases = Phases([(0.25, 1.0), (0.25, 3.0), (0.5, 2.0)])
    assert [phases.at(p) for p in (0.0, 0.24, 0.25, 0.5, 1.0)] == [1.0, 1.0, 3.0, 2.0, 2.0]
    assert phases.mean_from(0.0) == pytest.approx(2.0)
    assert phases.mean_from(0.375) == pytest.approx((0.125 * 3 + 0.5 * 2) / 0.625)
    assert phases.mean_from(1.0) == 2.0


@pytest.mark.parametrize("wrong", [[], [(0.5, 1.0)], [(1.0, 0.0)], [(1.5, 1.0), (-0.5, 1.0)]])
def test_phases_that_are_no_training_are_refused(wrong: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="shares that add up to 1"):
        Phases(wrong)
