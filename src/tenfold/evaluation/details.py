"""What a report shows beyond counts: how sure the model was, and pictures that it got wrong.

`DetailCollector` finds it in bounded memory as predictions pass by, and ``details.json`` keeps it,
pictures included, so that a report can be made without the source. The file is checked when it is
read, because a run folder may come from anyone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from tenfold.data.dataset import Split
from tenfold.errors import RunError
from tenfold.evaluation.reliability import Reliability, expected_calibration_error
from tenfold.files import atomic_write_json, read_file
from tenfold.pages import data_uri
from tenfold.run import Run

# What an <img> of a page may show: nothing that could hold more than pixels.
_Picture = Annotated[str, Field(pattern=r"^data:image/(png|jpeg);base64,[A-Za-z0-9+/]+=*$")]
_Label = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture whose prediction is wrong.

    Attributes:
        position: in the split, from 0.
        true: its label.
        predicted: the label that the model gave it.
        confidence: the probability of that label.
        picture: as `tenfold.pages.data_uri` makes it; None until `with_pictures`.
    """

    position: Annotated[int, Field(ge=0)]
    true: _Label
    predicted: _Label
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]
    picture: _Picture | None = None


@dataclass(frozen=True, slots=True)
class Augmented:
    """A training picture, and what the training saw of it.

    Attributes:
        label: its class.
        pictures: as it is, then in the first epochs, each as `tenfold.pages.data_uri` makes it.
    """

    label: _Label
    pictures: tuple[_Picture, ...]


@dataclass(frozen=True)
class Details:
    """What ``details.json`` holds.

    Attributes:
        reliability: confidence against hits.
        mistakes: the most confident ones, the surest first.
        confused: examples of the most confused pairs, pair by pair, the surest first.
        temperature: what the logits were divided by; 1: by nothing.
        uncalibrated: confidence against hits without that; None where the temperature is 1.
        augmented: samples of the training pictures; empty where they were not augmented.
        findings: facts about the data that a reader of the figures must know, a sentence each, such
            as pictures that two splits share.
        schema: version of this layout.
    """

    reliability: Reliability
    mistakes: tuple[Mistake, ...]
    confused: tuple[Mistake, ...]
    temperature: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1.0
    uncalibrated: Reliability | None = None
    augmented: tuple[Augmented, ...] = ()
    findings: tuple[str, ...] = ()
    schema: Literal[1] = 1

    def labels(self) -> Iterator[int]:
        """Every label that is spoken of."""
        for mistake in (*self.mistakes, *self.confused):
            yield from (mistake.true, mistake.predicted)
        yield from (sample.label for sample in self.augmented)

    def to_json(self) -> dict[str, Any]:
        """Plain values, the calibration error included."""
        error = expected_calibration_error(self.reliability)
        return {"expected_calibration_error": error, **asdict(self)}


_ADAPTER = TypeAdapter(Details)

_FILE_BYTES = 16 << 20  # a hundred large pictures


def with_pictures(mistakes: Sequence[Mistake], split: Split) -> tuple[Mistake, ...]:
    """The same mistakes with their pictures, read from the split that they were made on."""
    pixels, _ = split.gather(np.array([mistake.position for mistake in mistakes], np.int64))
    return tuple(
        replace(mistake, picture=data_uri(picture))
        for mistake, picture in zip(mistakes, pixels, strict=True)
    )


def save_details(run: Run, details: Details) -> None:
    """Write ``details.json``.

    Raises:
        OutputError: the disk is full or takes no writes.
    """
    atomic_write_json(run.details_path, details.to_json())


def load_details(run: Run, classes: int) -> Details | None:
    """Read ``details.json``; None where the run has none.

    Args:
        run: whose it is.
        classes: how many the run has.

    Raises:
        RunError: the file is damaged, or speaks of other classes.
    """
    try:
        content = read_file(run.details_path, _FILE_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _damaged(run, f"it cannot be read ({error.strerror})") from None
    try:
        details = _ADAPTER.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise _damaged(run, f"{key}: {first['msg']}" if key else first["msg"]) from None
    if any(label >= classes for label in details.labels()):
        raise _damaged(run, f"it speaks of more classes than the run's {classes}")
    if any(mistake.picture is None for mistake in (*details.mistakes, *details.confused)):
        raise _damaged(run, "a mistake has no picture")
    return details


def _damaged(run: Run, reason: str) -> RunError:
    return RunError(
        f"run {run.path} is damaged: details.json: {reason}; remove that file, and the report is "
        "made without it"
    )
