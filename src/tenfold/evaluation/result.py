"""What a finished run came to: the contents of its `result.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from tenfold.errors import RunError
from tenfold.evaluation.metrics import Evaluation
from tenfold.files import atomic_write_json
from tenfold.run import Run

_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


@dataclass(frozen=True)
class TimeUsed:
    """A time budget, and what was used of it.

    Attributes:
        seconds: the budget.
        used: from the prepared pictures to the result; the report follows.
    """

    seconds: float
    used: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """The test result of a run, and what it cost.

    Attributes:
        test: the evaluation on the test split, done once, after the training.
        seconds: wall time of the training, validation included, preparation and test not.
        images_per_second: training pictures by second of training steps, validation not counted.
        peak_memory_bytes: largest resident size of the process, from its start to the end.
        epochs: epochs that were trained, fewer than the recipe's after an early stop; the last may
            be short.
        steps: batches that were trained.
        parameters: weights and biases of the model that training changes.
        precision: what the model computed in.
        started: when the training began, UTC, ISO 8601.
        finished: when the test was done, UTC, ISO 8601.
        time_budget: None where there was none.
        schema: version of this layout.
    """

    test: Evaluation
    seconds: _Amount
    images_per_second: _Amount
    peak_memory_bytes: _Count
    epochs: _Count
    steps: _Count
    parameters: _Count
    precision: Literal["float32", "bf16"]
    started: str
    finished: str
    time_budget: TimeUsed | None = None
    schema: Literal[1] = 1

    def to_json(self) -> dict[str, Any]:
        """Plain values, those that the evaluation derives included."""
        plain = {**asdict(self), "test": self.test.to_json()}
        if self.time_budget is None:
            del plain["time_budget"]
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Result:
        """Rebuild what `to_json` gave.

        Raises:
            ValueError: something is missing, of the wrong type, or contradictory.
        """
        return _ADAPTER.validate_python(value)


_ADAPTER = TypeAdapter(Result)


def save_result(run: Run, result: Result) -> None:
    """Write `result.json`, which makes the run finished: do it last.

    Raises:
        OutputError: the disk is full or takes no writes.
    """
    atomic_write_json(run.result_path, result.to_json())


def load_result(run: Run) -> Result:
    """Read `result.json`.

    Raises:
        RunError: the run is unfinished, or the file is damaged.
    """
    value = run.result()
    try:
        return Result.from_json(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise RunError(
            f"run {run.path} is damaged: result.json, {key}: {first['msg']}; train it again"
        ) from None
