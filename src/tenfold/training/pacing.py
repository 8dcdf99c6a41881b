"""The length of a training, where it is not a number of epochs: by the clock, or as planned before.

Both callbacks end the training after a step, with the epoch's validation, and keep the learning
rate's schedule in step with what is planned. `Pace` and `Planner` do the thinking.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tenfold.recipe import Recipe
from tenfold.training.pace import Line, Pace, Plan
from tenfold.training.schedules import PacedSchedule
from tenfold.training.snapshot import Arrays, Numbers
from tenfold.training.time_budget import Phases, Planner
from tenfold.training.trainee import Trainee

_BATCHES = 3
"""That are evaluated to see how long it takes."""

Record = Callable[[Mapping[str, Any]], None]


@dataclass
class TimeBudget:
    """A time to train in, and its clock, which runs from when this is made.

    Attributes:
        seconds: for everything from the prepared pictures to the finished run.
        most_epochs: the training is never longer.
        record: told of each plan: the step, the steps that are planned, seconds a step, and how
            much of the budget is used.
        phases: relative cost of steps; None: all cost the same.
    """

    seconds: float
    most_epochs: int
    record: Record = lambda facts: None
    phases: Phases | None = None
    _used_before: float = 0.0
    _began: float = field(default_factory=lambda: time.perf_counter())

    @property
    def used(self) -> float:
        """Seconds so far, over all processes that had a part in it."""
        return self._used_before + time.perf_counter() - self._began

    def add(self, seconds: float) -> None:
        """Count what an earlier process used."""
        self._used_before += seconds


class _Paced(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Keeps the schedule to a pace, and ends the training after so many steps."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self._schedule = PacedSchedule(recipe.schedule, recipe.optimizer.learning_rate)
        self._step = 0
        self._line: Line | None = None

    @property
    def plans(self) -> Sequence[Plan]:
        """All that was planned."""
        raise NotImplementedError

    def set_model(self, model: keras.Model) -> None:
        """Put the paced schedule in the place of the recipe's; before the step is compiled."""
        super().set_model(model)
        model.optimizer.learning_rate = self._schedule

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Find out how many steps are done."""
        self._step = int(self.model.optimizer.iterations)

    def progress(self, step: int) -> float:
        """How far the schedule is at a step, by the plan that held there."""
        return Pace([plan for plan in self.plans if plan[0] <= step]).line.progress(step)

    def _follow(self, pace: Pace, steps: int) -> None:
        if pace.line != self._line:
            self._line = pace.line
            self._schedule.follow(pace.line)
        if self._step >= steps:
            self.model.stop_training = True


class FollowPlans(_Paced):
    """Repeats a training as it was planned, whatever time that takes.

    Args:
        recipe: ``training.steps`` ends it; ``schedule.plans`` is what the schedule follows, and
            where there are none it is stretched over all steps.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self._steps = recipe.training.steps or 0
        self._plans: Sequence[Plan] = [
            (first, steps) for first, steps in recipe.schedule.plans or [[0, self._steps]]
        ]

    @property
    def plans(self) -> Sequence[Plan]:
        """As the recipe has them."""
        return self._plans

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Take up the plan of the step that the training is at."""
        super().on_train_begin(logs)
        self.model.planned_steps = self._steps
        self._follow_plans()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Take up the next plan where its step has come."""
        self._step += 1
        self._follow_plans()

    def _follow_plans(self) -> None:
        until_now = [plan for plan in self._plans if plan[0] <= self._step]
        self._follow(Pace(until_now), self._steps)


class KeepTime(_Paced):
    """Ends a training in time, its schedule complete; see `Planner` for how.

    After the first step of a process, a few batches are evaluated to see how long that takes; no
    weight, no measurement and no random number changes by it.

    Args:
        recipe: whose schedule is followed.
        budget: the time there is, and its clock.
        steps_per_epoch: training steps in an epoch.
        evaluate: evaluates a few batches with the trainee; seconds a picture.
        validation: pictures in the validation split.
        test: pictures in the test split.
    """

    def __init__(
        self,
        recipe: Recipe,
        budget: TimeBudget,
        *,
        steps_per_epoch: int,
        evaluate: Callable[[], float],
        validation: int,
        test: int,
    ) -> None:
        super().__init__(recipe)
        self._budget = budget
        self._evaluate = evaluate
        self._validation, self._test = validation, test
        most = budget.most_epochs * steps_per_epoch
        self._planner = Planner(budget.seconds, steps_per_epoch, most, budget.phases)
        self._built = self._ended_epoch = False
        self._step_began = 0.0

    @property
    def plans(self) -> tuple[Plan, ...]:
        """All that was planned."""
        return self._planner.pace.plans

    @property
    def steps(self) -> int:
        """Steps of the whole training, as planned last."""
        return self._planner.steps

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Take up the plan there is."""
        super().on_train_begin(logs)
        self.model.planned_steps = self.steps if self._planner.decided else None
        self._follow(self._planner.pace, self.steps)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Take the time of the validation before."""
        if self._ended_epoch:
            self._planner.validated(self._budget.used)
            self._ended_epoch = False

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Note when the first step begins."""
        if not self._built:
            self._step_began = self._budget.used

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Tell the planner, and do as it says."""
        self._step += 1
        before = self._planner.decided, self.steps
        if self._built:
            self._planner.stepped(self._step, self._budget.used)
        else:
            self._take_note()
        if (self._planner.decided, self.steps) != before:
            self._tell()
        self._follow(self._planner.pace, self.steps)
        self._ended_epoch = True

    def _take_note(self) -> None:
        """Of how long it took to build the first step, and how long evaluations will take."""
        building = self._budget.used - self._step_began
        a_picture = self._evaluate()
        self._planner.built(
            self._budget.used,
            building=building,
            validation=a_picture * self._validation,
            finishing=a_picture * (self._validation + self._test),
            step=self._step,
        )
        self._built = True

    def _tell(self) -> None:
        self.model.planned_steps = self.steps
        self._budget.record(
            {
                "event": "plan",
                "step": self._step,
                "planned_steps": self.steps,
                "seconds_a_step": self._planner.seconds_a_step,
                "used": self._budget.used,
            }
        )

    def checkpoint_state(self) -> tuple[Numbers, Arrays]:
        """The plans, what they were made from, and how much of the budget is used."""
        numbers, plans = self._planner.to_numbers()
        return {**numbers, "used": self._budget.used}, [np.array(plans, np.int64)]

    def restore_state(self, numbers: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
        """Go on from what `checkpoint_state` gave, with what is left of the budget."""
        [plans] = arrays
        self._planner.from_numbers(numbers, [(int(first), int(steps)) for first, steps in plans])
        self._budget.add(float(numbers["used"]))


def evaluation_seconds(trainee: Trainee, batches: Any, batch_size: int) -> float:
    """How long a picture's evaluation takes, once the graph is built, which happens here.

    Args:
        trainee: its test function is made; what its metrics have counted is put back.
        batches: of an evaluation, from `tenfold.data.pipeline.evaluation_batches`.
        batch_size: pictures in each.
    """
    stream = iter(batches.repeat())  # there may be but one
    counted = trainee.running_sums()
    trainee.test_function(stream)
    began = time.perf_counter()
    for _ in range(_BATCHES):
        trainee.test_function(stream)
    taken = time.perf_counter() - began
    trainee.set_running_sums(counted)
    return taken / (_BATCHES * batch_size)
