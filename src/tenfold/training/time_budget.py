"""Fitting a training to a time: how many steps there will be, by how long those before have taken.

Nothing here reads a clock or a network. Whoever trains says how much of the budget is used, after
each step, and asks how many steps there are.
"""

from __future__ import annotations

import math
import re
import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.errors import TenfoldError
from tenfold.training.checkpoint import Number
from tenfold.training.pace import Pace, Plan

MOST_TIMES = 4
"""A budget is used for so many times the recipe's epochs at most: a schedule that was made for ten
epochs gains little beyond forty, and a budget of hours for minutes of work is a mistake."""

_UNITS = {"h": 3600, "m": 60, "s": 1}
_LONGEST = 366 * 24 * 3600

_MARGIN = 0.02
"""Share of the budget that is left alone: the end can be estimated, and not known."""
_MEASURED_SECONDS = 3.0
_MEASURED_SHARE = 0.02
"""The length is decided after steps that took this long, in seconds or as a share of the budget."""
_MEASURED_STEPS = 5
_WINDOW = 0.1
"""Share of the budget whose steps, the latest, say how long a step takes."""
_VALIDATIONS = 5
"""So many, the latest, say how long a validation takes: their median."""
_LATE = (0.01, 0.05)
_EARLY = (0.02, 0.15)
"""The plan is revised where it would end so much off the aim: as a share of the budget, or of what
is left, whichever is more. Being late counts for more than being early."""
_GRACE = 0.04
"""Share of the budget that a last step may take beyond the aim, rather than that it is left out and
the schedule cut off; `_MARGIN` bears half of it."""
_LEAST_STEPS = 10
"""Fewer than these are no training."""
_FINISHING_AS_BUILDING = 1.5
_EVALUATION = 1.5
"""The time after the last validation, in which other graphs are built, files written and the report
made: so many times what building the first step took, and, for each picture of the final
evaluations, so many times what it takes in a validation."""


class TimeBudgetError(TenfoldError):
    """A time is no time, or too short to train in."""


def parse_time(given: str | float) -> float:
    """Seconds from a text like ``90s``, ``10m``, ``1h30m`` or ``1h``, or from a number of them.

    Raises:
        TimeBudgetError: it is no time, 0, or longer than a year.
    """
    if isinstance(given, str):
        number, unit = r"(\d{1,9}(?:\.\d{1,9})?)", r" ?{} ?"
        pattern = "".join(f"(?:{number}{unit.format(name)})?" for name in _UNITS)
        found = re.fullmatch(pattern, given.strip().lower())
        parts = zip(found.groups(), _UNITS.values(), strict=True) if found else ()
        seconds = sum(float(part) * unit for part, unit in parts if part)
    else:
        seconds = given
    if not 0 < seconds <= _LONGEST:  # NaN is not
        what = repr(given) if isinstance(given, str) else f"{given} seconds"
        raise TimeBudgetError(f"{what} is no time to train for; write it like 90s, 10m or 1h30m")
    return float(seconds)


def in_words(seconds: float) -> str:
    """A time as one says it: ``20 s``, ``59.7 s``, ``9 min 51 s``, ``1 h 30 min``."""
    if seconds < 120 and seconds != round(seconds):
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


@dataclass(frozen=True)
class Phases:
    """What a step costs beside others, as a function of progress through the training.

    Attributes:
        phases: one after the other, the share of the training that each takes, and the relative
            cost of its steps. The shares add up to 1. One phase: all steps cost the same.
    """

    phases: Sequence[tuple[float, float]] = ((1.0, 1.0),)

    def __post_init__(self) -> None:
        shares = [share for share, _ in self.phases]
        if not math.isclose(sum(shares), 1.0) or not all(
            share > 0 and 0 < cost < math.inf for share, cost in self.phases
        ):
            raise ValueError(f"phases are shares that add up to 1, and costs: {self.phases}")

    def at(self, progress: float) -> float:
        """The cost of a step at a progress from 0 to 1."""
        end = 0.0
        for share, cost in self.phases:
            end += share
            if progress < end:
                return cost
        return self.phases[-1][1]

    def mean_from(self, progress: float) -> float:
        """The mean cost of all steps from a progress on to the end."""
        left = total = end = 0.0
        for share, cost in self.phases:
            begin, end = end, end + share
            within = max(0.0, end - max(begin, progress))
            left, total = left + within, total + within * cost
        return total / left if left > 1e-12 else self.phases[-1][1]


class Planner:
    """Decides how long a training is, and thinks again where the computer turns out otherwise.

    The budget is for everything from when the pictures are prepared to the last file of the run:
    building the first step, the steps, a validation after each epoch, and what follows the last.

    The length is decided once, after the first seconds of steps, the first one, in which the graph
    is built, not counted. After each later step the end is forecast from the speed of the latest
    ones; where it would be off by more than `_LATE` or `_EARLY`, the rest of the training is
    planned anew: the schedule goes on from where it is, without a jump, and faster or slower to its
    end. Its progress therefore never falls, and is 1 at the end. Until the length is decided the
    schedule moves as for the longest training there can be.

    Where one step or one validation takes longer than all that was left, the training ends after
    it, with the schedule cut off: no plan could have known.

    Args:
        budget: seconds in all.
        steps_per_epoch: training steps between two validations.
        most_steps: the training is never longer.
        phases: relative cost of the steps.
    """

    def __init__(
        self, budget: float, steps_per_epoch: int, most_steps: int, phases: Phases | None = None
    ) -> None:
        self.pace = Pace([(0, most_steps)])
        self.decided = False
        self.seconds_a_step = 0.0
        """Of relative cost 1; 0 before any was measured."""
        self._budget = budget
        self._steps_per_epoch = steps_per_epoch
        self._most = most_steps
        self._phases = phases or Phases()
        self._validation = self._finishing = 0.0
        self._validations: deque[float] = deque(maxlen=_VALIDATIONS)
        self._used = 0.0
        self._cut: int | None = None
        self._latest: deque[tuple[float, float]] = deque()  # seconds and cost of steps
        self._latest_seconds = self._latest_cost = 0.0

    @property
    def steps(self) -> int:
        """How many steps the training has, as planned now."""
        return self.pace.steps if self._cut is None else self._cut

    def built(
        self, used: float, *, building: float, validation: float, finishing: float, step: int
    ) -> None:
        """Take note of what a process did before its steps can be measured.

        Args:
            used: seconds of the budget, as everywhere here.
            building: seconds until the first step was done.
            validation: what one takes, by estimate.
            finishing: what the final evaluations take, by the speed of a validation.
            step: steps done.

        Raises:
            TimeBudgetError: there is no time for a training.
        """
        self._used = used
        self._validation = self._validation or validation  # one that was measured is better
        self._finishing = _FINISHING_AS_BUILDING * building + _EVALUATION * finishing
        if not self.decided:
            self._refuse_unless(self._left() > self._validation, 0.0)
        elif self._forecast(step, 1) > self._left():
            self._cut = step  # a training that goes on with nothing left

    def validated(self, used: float) -> None:
        """Take note that an epoch's validation, and all that belongs to it, is over."""
        self._validations.append(used - self._used)
        self._validation = statistics.median(self._validations)
        self._used = used

    def stepped(self, step: int, used: float) -> None:
        """Take note of a step, and plan anew where that is due.

        Args:
            step: steps done, this one included.
            used: seconds of the budget.

        Raises:
            TimeBudgetError: the time is too short for a training.
        """
        self._measure(used - self._used, self._phases.at(self.pace.line.progress(step - 1)))
        self._used = used
        if step >= self.steps:
            return
        if self.decided:
            self._revise_if_due(step)
        elif self._measured_enough():
            left = self._most_that_fit(step)
            self._refuse_unless(step + left >= min(_LEAST_STEPS, self._most), self.seconds_a_step)
            self.decided = True
            self._plan(step, left)

    def to_numbers(self) -> tuple[dict[str, Number], list[Plan]]:
        """What `from_numbers` needs to go on."""
        numbers = {
            "decided": self.decided,
            "cut": self._cut,
            "seconds_a_step": self.seconds_a_step,
            "validation": self._validation,
        }
        return numbers, list(self.pace.plans)

    def from_numbers(self, numbers: Mapping[str, Any], plans: Sequence[Plan]) -> None:
        """Go on from what `to_numbers` gave.

        Raises:
            KeyError, TypeError, ValueError: it is not that.
        """
        self.pace = Pace(plans)
        self.decided = bool(numbers["decided"])
        self._cut = None if numbers["cut"] is None else int(numbers["cut"])
        self.seconds_a_step = float(numbers["seconds_a_step"])
        self._validation = float(numbers["validation"])

    def _measure(self, seconds: float, cost: float) -> None:
        self._latest.append((seconds, cost))
        self._latest_seconds += seconds
        self._latest_cost += cost
        window = _WINDOW * self._budget
        while (
            len(self._latest) > _MEASURED_STEPS
            and self._latest_seconds - self._latest[0][0] >= window
        ):
            seconds, cost = self._latest.popleft()
            self._latest_seconds -= seconds
            self._latest_cost -= cost
        if len(self._latest) >= _MEASURED_STEPS or not self.decided:  # else the old one is better
            self.seconds_a_step = self._latest_seconds / self._latest_cost

    def _measured_enough(self) -> bool:
        slow = _MEASURED_STEPS * self.seconds_a_step > 0.1 * self._left()
        enough = min(_MEASURED_SECONDS, _MEASURED_SHARE * self._budget)
        return slow or (len(self._latest) >= _MEASURED_STEPS and self._latest_seconds >= enough)

    def _left(self) -> float:
        """Seconds for steps and validations."""
        return (1 - _MARGIN) * self._budget - self._finishing - self._used

    def _forecast(self, step: int, more: int) -> float:
        """Seconds that so many steps more take, with the validations after them."""
        epochs_done = max(0, step - 1) // self._steps_per_epoch  # an epoch's own is still to come
        validations = -(-(step + more) // self._steps_per_epoch) - epochs_done
        cost = self._phases.mean_from(self.pace.line.progress(step))
        return more * cost * self.seconds_a_step + validations * self._validation

    def _most_that_fit(self, step: int) -> int:
        low, high, left = 0, self._most - step, self._left()
        while low < high:
            middle = (low + high + 1) // 2
            if self._forecast(step, middle) <= left:
                low = middle
            else:
                high = middle - 1
        return low

    def _revise_if_due(self, step: int) -> None:
        left = self._left()
        late = self._forecast(step, self.steps - step) - left
        bounds = _LATE if late > 0 else _EARLY
        if abs(late) > max(bounds[0] * self._budget, bounds[1] * left):
            last = self._forecast(step, 1) <= left + _GRACE * self._budget
            self._plan(step, max(self._most_that_fit(step), int(last)))

    def _plan(self, step: int, left: int) -> None:
        if left == 0:
            self._cut = step
        elif step + left != self.steps:
            self.pace.revise(step, step + left)

    def _refuse_unless(self, enough: bool, seconds_a_step: float) -> None:
        if enough:
            return
        cost = self._used + self._validation + self._finishing + _LEAST_STEPS * seconds_a_step
        least = math.ceil(cost / (1 - _MARGIN) / 5 + 0.5) * 5
        raise TimeBudgetError(
            f"a time budget of {in_words(self._budget)} is too short: this computer needs about "
            f"{in_words(cost)} to build, evaluate and save this network; give it {least}s or more"
        )
