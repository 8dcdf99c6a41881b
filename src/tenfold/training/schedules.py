"""How the learning rate moves over a training, as a pure function of the step."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tenfold.recipe import ScheduleSection
from tenfold.training.pace import Line

_ONE_CYCLE_START = 1 / 25
"""Where one-cycle begins, as a share of the peak."""


@keras.saving.register_keras_serializable("tenfold")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Warm-up, then one of four shapes.

    The rate rises linearly over the first ``warmup`` share of the steps, reaching ``peak`` at its
    end. With ``t`` in [0, 1] the progress through the steps that remain, it is then

    - constant: ``peak``;
    - linear: ``peak * (1 - (1 - final) * t)``;
    - cosine: ``peak * (final + (1 - final) * (1 + cos(pi t)) / 2)`` (Loshchilov and Hutter, 2017);
    - one-cycle: the cosine shape, with a warm-up that follows a cosine too, from ``peak / 25``:
      ``peak * (1 - 24/25 * (1 + cos(pi u)) / 2)``, ``u`` in [0, 1] the progress through the warm-up
      (Smith and Topin, 2018).

    No step is wasted on a rate of 0: the first has its share of the climb already, and ``t``
    reaches 1, hence the rate ``final * peak``, one step after the last.

    Args:
        section: the recipe's schedule section.
        peak: the full learning rate.
        steps: how many steps the training has.
    """

    def __init__(self, section: ScheduleSection, peak: float, steps: int) -> None:
        self.section = section
        self.peak = peak
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step, counted from 0; a scalar of float32."""
        return self._rate(ops.cast(step, "float32"), self.steps)

    def _rate(self, step: Any, steps: Any) -> Any:
        """The learning rate of a step of so many; both may be tensors, and fractions."""
        rising = self.section.warmup * steps
        if self.section.name == "one-cycle" and self.section.warmup:
            left = (1 + ops.cos(math.pi * ops.minimum(step / rising, 1.0))) / 2
            warm = 1 - (1 - _ONE_CYCLE_START) * left
        elif self.section.warmup:
            warm = ops.minimum((step + 1) / rising, 1.0)
        else:
            warm = ops.ones(())
        progress = ops.clip((step - rising) / ops.maximum(steps - rising, 1.0), 0.0, 1.0)
        return self.peak * ops.where(step < rising, warm, self._after_warmup(progress))

    def _after_warmup(self, progress: Any) -> Any:
        final = self.section.final
        if self.section.name == "constant":
            return ops.ones_like(progress)
        if self.section.name == "linear":
            return 1 - (1 - final) * progress
        return final + (1 - final) * (1 + ops.cos(math.pi * progress)) / 2

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {"section": self.section.model_dump(), "peak": self.peak, "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Schedule:
        """Rebuild a schedule from what `get_config` gave."""
        return cls(ScheduleSection(**config["section"]), config["peak"], config["steps"])


@keras.saving.register_keras_serializable("tenfold")
class PacedSchedule(Schedule):
    """The same shapes, for a training whose length may change while it goes on.

    A step ``s`` has the rate of step ``s + offset`` in a training of ``length`` steps, by the line
    that is followed at the moment; see `tenfold.training.pace`.

    Args:
        section: the recipe's schedule section.
        peak: the full learning rate.
        steps: what it is stretched over before there is a line to follow.
    """

    def __init__(self, section: ScheduleSection, peak: float, steps: int = 1) -> None:
        super().__init__(section, peak, steps)
        # A variable, because the compiled step reads it anew each time.
        self._line = keras.Variable([0.0, float(steps)], trainable=False, dtype="float32")

    def follow(self, line: Line) -> None:
        """Take the rates from a line, from the next step on."""
        self._line.assign([line.offset, line.length])

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step, counted from 0; a scalar of float32."""
        return self._rate(ops.cast(step, "float32") + self._line[0], self._line[1])
