"""How far a schedule is at each step, where the length of the training was planned more than once.

A plan is a pair of whole numbers, the step from which it holds and how many steps it gives the
whole training. The plans of a training say all about its schedule, so that whoever has them can
repeat it to the bit, on a computer of any speed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Plan = tuple[int, int]
"""From which step on, and steps of the whole training."""


@dataclass(frozen=True)
class Line:
    """Progress that grows evenly: as if step ``s`` were step ``s + offset`` of ``length``.

    Attributes:
        offset: what is added to a step.
        length: how many such steps come to progress 1.
    """

    offset: float
    length: float

    def progress(self, step: int) -> float:
        """How far the schedule is before a step, from 0 to 1."""
        return min(1.0, max(0.0, (step + self.offset) / self.length))


class Pace:
    """Progress over a whole training: a line for each plan, each from where the one before led.

    So progress is continuous and never falls, whatever is planned, and comes to 1 at the end of the
    last plan.

    Args:
        plans: by their first steps, which grow, from 0; each ends after it begins.
    """

    def __init__(self, plans: Iterable[Plan]) -> None:
        (first, steps), *later = plans
        if first != 0 or steps < 1:
            raise ValueError(f"the first plan is for step 0 and a step or more: {first, steps}")
        self._plans = [(0, steps)]
        self._line = Line(0.0, float(steps))
        for plan in later:
            self.revise(*plan)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """All that was planned, the last one last."""
        return tuple(self._plans)

    @property
    def steps(self) -> int:
        """Steps of the whole training, by the last plan."""
        return self._plans[-1][1]

    @property
    def line(self) -> Line:
        """What the last plan makes of the steps from its first on."""
        return self._line

    def revise(self, step: int, steps: int) -> None:
        """From ``step`` on, go evenly to the end of a training of ``steps`` steps.

        Raises:
            ValueError: the plan before holds from there or later, or one of both has ended by then.
        """
        began, ends = self._plans[-1]
        if not began < step < min(ends, steps):
            raise ValueError(f"step {step} is not between {began} and {ends}, {steps}")
        progress = self._line.progress(step)
        length = (steps - step) / (1 - progress)
        self._line = Line(progress * length - step, length)
        self._plans.append((step, steps))
