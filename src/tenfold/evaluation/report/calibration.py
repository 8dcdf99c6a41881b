"""Whether a model is right as often as it says: a reliability diagram, and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from tenfold.errors import RunError
from tenfold.evaluation.details import Details
from tenfold.evaluation.reliability import Reliability, expected_calibration_error
from tenfold.run import Run

SIDE = 320
"""Of the diagram, in its own units, without what stands around it."""

_COUNTS = 60
"""Height of the bars below it, which show how many pictures a bin has."""


@dataclass(frozen=True)
class Bar:
    """One bin as it is drawn: lengths in the diagram's units, from the lower left corner.

    Attributes:
        left: where it begins.
        width: of every bin.
        accuracy: height of the share of hits.
        confidence: height of the mean confidence.
        count: height of the bar below.
        said: the bin in words.
    """

    left: float
    width: float
    accuracy: float
    confidence: float
    count: float
    said: str


@dataclass(frozen=True)
class Diagram:
    """A reliability diagram.

    Attributes:
        title: what it is of.
        error: the expected calibration error.
        reliability: what it shows.
        bars: the bins that hold pictures.
    """

    title: str
    error: float
    reliability: Reliability
    bars: tuple[Bar, ...]
    side: int = SIDE
    counts: int = _COUNTS

    @property
    def excess(self) -> float:
        """By how much the mean confidence is above the accuracy."""
        return self.reliability.mean_confidence - self.reliability.accuracy


@dataclass(frozen=True)
class Overview:
    """What a report says of calibration.

    Attributes:
        diagrams: as the model answers; before it, where a temperature changes that, without it.
        temperature: 1 where there is none.
        note: why there is none, or on how many pictures it was fitted; empty where nobody knows.
    """

    diagrams: tuple[Diagram, ...]
    temperature: float
    note: str


class _Written(BaseModel):
    """What a report needs of ``calibration.json``."""

    count: int = 0
    reason: str | None = None


def overview(run: Run, details: Details | None) -> Overview | None:
    """What there is to say; None without details, or where no prediction was finite.

    Raises:
        RunError: ``calibration.json`` is damaged.
    """
    if details is None or not details.reliability.count:
        return None
    titles = ["As the model answers"]
    reliabilities = [details.reliability]
    if details.uncalibrated is not None:
        titles = ["Without the temperature", f"At temperature {details.temperature:.3g}"]
        reliabilities = [details.uncalibrated, details.reliability]
    diagrams = map(_diagram, titles, reliabilities)
    return Overview(tuple(diagrams), details.temperature, _note(run))


def _note(run: Run) -> str:
    try:
        written = _Written.model_validate_json(run.calibration_path.read_bytes())
    except FileNotFoundError:
        return ""
    except (OSError, ValidationError):
        raise RunError(
            f"run {run.path} is damaged: calibration.json cannot be read; remove it, and the "
            "report is made without it"
        ) from None
    if written.reason:
        return f"No temperature was fitted: {written.reason}."
    return f"The temperature was fitted on {written.count:,} validation pictures."


def _diagram(title: str, reliability: Reliability) -> Diagram:
    bins, most = len(reliability.counts), max(reliability.counts)
    bars = []
    for at, (count, correct, confidence) in enumerate(
        zip(reliability.counts, reliability.correct, reliability.confidence, strict=True)
    ):
        if count:
            bars.append(
                Bar(
                    left=round(SIDE * at / bins, 1),
                    width=round(SIDE / bins, 1),
                    accuracy=round(SIDE * correct / count, 1),
                    confidence=round(SIDE * confidence / count, 1),
                    count=round(max(1.0, _COUNTS * count / most), 1),
                    said=f"{at / bins:.0%} to {(at + 1) / bins:.0%} sure: {count:,} pictures, "
                    f"{correct / count:.1%} right at a mean confidence of {confidence / count:.1%}",
                )
            )
    return Diagram(title, expected_calibration_error(reliability), reliability, tuple(bars))
