"""How a training went, epoch by epoch, and which epoch's weights were kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from tenfold.errors import RunError
from tenfold.evaluation.report.charts import Chart, Curve, Mark, draw
from tenfold.evaluation.result import Result
from tenfold.recipe import Recipe
from tenfold.run import Run

MOST_ROWS = 60
"""Epochs in the table behind the curves; of more, every so many are shown."""


class Record(BaseModel):
    """What a line of ``metrics.jsonl`` says of a step or an epoch; NaN for what it does not say."""

    event: str
    epoch: Annotated[float, Field(gt=0.0, le=1e9)] = math.nan
    loss: float = math.nan
    accuracy: float = math.nan
    validation_loss: float = math.nan
    validation_accuracy: float = math.nan
    learning_rate: float = math.nan
    seconds: float = math.nan


_RECORDS = TypeAdapter(list[Record])


@dataclass(frozen=True)
class Story:
    """How a training went.

    Attributes:
        epochs: how many were trained to their end.
        planned: how many the recipe has; None where its length is another: steps, or a time.
        kept: the epoch whose weights were kept, from 1; None where the training did not get there.
        why_kept: in words.
        loss: the loss curves; None where nothing is finite.
        accuracy: likewise.
        rows: what is behind the curves, an epoch each, at most `MOST_ROWS` or one more.
        validated: whether there was a validation split.
        restrained: whether training pictures were harder than others: augmented, or with dropout.
        broken: whether a loss was not finite.
        last: the last epoch's record; None before the first.
    """

    epochs: int
    planned: int | None
    kept: int | None
    why_kept: str
    loss: Chart | None
    accuracy: Chart | None
    rows: tuple[Record, ...]
    validated: bool
    restrained: bool
    broken: bool
    last: Record | None


def story(run: Run, recipe: Recipe, result: Result | None, *, timed: bool = False) -> Story:
    """Tell it from what a run recorded.

    Args:
        run: whose it is.
        recipe: likewise.
        result: None where it is unfinished.
        timed: whether a time budget decided its length.

    Raises:
        RunError: a record is damaged.
    """
    try:
        records = _RECORDS.validate_python(run.metrics())
    except ValidationError as error:
        first = error.errors()[0]
        line, *key = first["loc"]
        raise RunError(
            f"run {run.path} is damaged: line {int(line) + 1} of metrics.jsonl, "
            f"{'.'.join(map(str, key))}: {first['msg']}; remove that line"
        ) from None
    records = [record for record in records if math.isfinite(record.epoch)]
    steps = [record for record in records if record.event == "step"]
    epochs = [record for record in records if record.event == "epoch"]
    kept, why = _kept(recipe, epochs) if result else (None, "")
    every = -(-len(epochs) // MOST_ROWS) or 1
    shown = [one for at, one in enumerate(epochs, 1) if at % every == 0 or one.epoch == kept]
    return Story(
        epochs=len(epochs),
        planned=None if timed or recipe.training.steps else recipe.training.epochs,
        kept=kept,
        why_kept=why,
        loss=_chart("Loss", "loss", steps, epochs, result, kept),
        accuracy=_chart("Accuracy", "accuracy", steps, epochs, result, kept),
        rows=tuple(shown),
        validated=any("validation_loss" in record.model_fields_set for record in epochs),
        restrained=bool(recipe.model.dropout) or recipe.augmentation != type(recipe.augmentation)(),
        broken=not all(math.isfinite(record.loss) for record in epochs),
        last=epochs[-1] if epochs else None,
    )


def _kept(recipe: Recipe, epochs: Sequence[Record]) -> tuple[int | None, str]:
    """As `tenfold.training.early_stopping` chooses: the first epoch of the lowest loss."""
    if not epochs:
        return None, ""
    losses = [one.validation_loss if _finite(one.validation_loss) else math.inf for one in epochs]
    if recipe.training.early_stopping is not None and min(losses) < math.inf:
        best = epochs[losses.index(min(losses))]
        return int(best.epoch), "it had the lowest validation loss"
    average = recipe.training.average
    why = "as averaged over the last steps" if average else "the last one"
    return int(epochs[-1].epoch), why


_finite = math.isfinite


def _chart(
    title: str,
    key: str,
    steps: Sequence[Record],
    epochs: Sequence[Record],
    result: Result | None,
    kept: int | None,
) -> Chart | None:
    def points(records: Sequence[Record], name: str) -> list[tuple[float, float]]:
        return [(record.epoch, getattr(record, name)) for record in records]

    curves = [
        Curve("training, within the epoch", "steps", points(steps, key), dots=False),
        Curve("training", "train", points(epochs, key)),
        Curve("validation", "validation", points(epochs, f"validation_{key}")),
    ]
    marks = []
    if result and kept:
        test = result.test
        value = test.loss if key == "loss" else test.accuracy
        low, high = (value, value) if key == "loss" else test.interval
        marks.append(Mark("test", kept, value, low, high))
    return draw(title, curves, marks, percent=key == "accuracy", kept=kept)
