"""The run that is served: its model, and what is told of it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from tenfold.errors import RunError
from tenfold.run import Run
from tenfold.serving.app.batching import Model
from tenfold.serving.app.schemas import TestResult
from tenfold.serving.predictor import Predictor

_PARTS = ("tenfold", "onnxruntime", "numpy", "pillow", "simplejpeg")
_Share = Annotated[float, Field(ge=0, le=1)]


class _Test(BaseModel):
    accuracy: _Share
    interval: Annotated[list[_Share], Field(min_length=2, max_length=2)]
    count: Annotated[int, Field(ge=1)]


class _Result(BaseModel):
    test: _Test


@dataclass(frozen=True, kw_only=True)
class Served:
    """A run as the server sees it.

    Attributes:
        name: of the run's folder, without what lies above it.
        recipe: the recipe's name.
        model: answers the requests.
        test: how well it did on its test split; None where the run was not tested.
        versions: of what computes the predictions.
    """

    name: str
    recipe: str
    model: Model
    test: TestResult | None
    versions: dict[str, str]


def load(run: Run) -> Served:
    """Read a run, and predict once, so that the first request waits for nothing.

    Raises:
        RunError: it has no model to serve, or something in it is damaged.
    """
    recipe = run.recipe()
    if not run.onnx_path.is_file():
        raise RunError(
            f"run {run.path} has no model.onnx to serve; make it with: "
            f"tenfold export {run.path} --format onnx"
        )
    # Each batch is computed on one core: several at a time are faster than one on several.
    model = Predictor(run.onnx_path, threads=1)
    blank = np.full((1, model.size, model.size, 3), 128, np.uint8)
    if not np.isfinite(model.predict(blank)).all():
        raise RunError(
            f"the model of run {run.path} predicts no numbers (its training diverged); "
            "train it again with a lower learning rate"
        )
    return Served(
        name=run.path.resolve().name,
        recipe=recipe.name,
        model=model,
        test=_test(run) if run.finished else None,
        versions={"python": platform.python_version(), **{k: metadata.version(k) for k in _PARTS}},
    )


def _test(run: Run) -> TestResult:
    try:
        test = _Result.model_validate(run.result()).test
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise RunError(
            f"run {run.path} is damaged: result.json, {key}: {first['msg']}; train it again"
        ) from None
    return TestResult(accuracy=test.accuracy, interval=test.interval, pictures=test.count)
