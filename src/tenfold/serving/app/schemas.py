"""The shapes of the answers, as `/openapi.json` describes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1, description="From 0 to 1.")]


class ProblemBody(BaseModel):
    """Why a request was not answered (RFC 9457, `application/problem+json`)."""

    type: Literal["about:blank"] = "about:blank"
    title: Annotated[str, Field(description="What the status means.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="One line: what is wrong, and what to do.")]


class ClassProbability(BaseModel):
    """A class and how probable it is."""

    model_config = ConfigDict(populate_by_name=True)

    class_name: Annotated[str, Field(alias="class")]
    probability: Probability


class Prediction(BaseModel):
    """What the model says of one picture."""

    name: Annotated[str | None, Field(description="The file's name, where one was sent.")]
    class_name: Annotated[str, Field(alias="class", description="The most probable class.")]
    probability: Probability
    top: Annotated[
        list[ClassProbability], Field(description="The most probable classes, in that order.")
    ]


class Predictions(BaseModel):
    """What the model says of each picture, in the order in which they were sent."""

    predictions: list[Prediction]


class Explanation(BaseModel):
    """An occlusion map: where the model looked."""

    class_name: Annotated[str, Field(alias="class", description="The most probable class.")]
    probability: Probability
    size: Annotated[
        int, Field(description="Side in pixels of the square that the model sees: the centre.")
    ]
    patch: Annotated[int, Field(description="Side of the grey patch, in cells of the map.")]
    drops: Annotated[
        list[list[float]],
        Field(
            description="Rows of cells over the square: how much the probability of the class "
            "drops, on average, when a grey patch covers the cell."
        ),
    ]


class TestResult(BaseModel):
    """The test result of the run, measured once after its training."""

    accuracy: Probability
    interval: Annotated[
        list[float], Field(min_length=2, max_length=2, description="95% interval (Wilson).")
    ]
    pictures: Annotated[int, Field(description="How many pictures it was tested on.")]


class LimitsBody(BaseModel):
    """What the server accepts."""

    body_bytes: int
    pixels: int
    pictures: int
    requests: int
    read_seconds: float
    answer_seconds: float


class ModelBody(BaseModel):
    """What is served."""

    run: Annotated[str, Field(description="The name of the run's folder.")]
    recipe: str
    size: Annotated[int, Field(description="Side in pixels of the square that the model sees.")]
    classes: list[str]
    test: Annotated[TestResult | None, Field(description="null: the run was never tested.")]
    versions: Annotated[
        dict[str, str], Field(description="Versions of what computes the predictions.")
    ]
    limits: LimitsBody


class Status(BaseModel):
    """Whether the server is well."""

    status: Literal["ok", "ready"]
