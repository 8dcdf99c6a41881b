"""How many pictures are computed at a time, which bounds memory."""

from __future__ import annotations

from dataclasses import dataclass

EVALUATION = 256
"""Pictures in a batch of an evaluation, unless memory is short."""


@dataclass(frozen=True)
class Portions:
    """What a training computes at a time; its bits depend on it, so a run keeps to one.

    Attributes:
        training: pictures; a batch that has more is computed in parts.
        evaluation: likewise, of the validation and the test.
    """

    training: int
    evaluation: int = EVALUATION
