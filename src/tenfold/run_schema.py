"""What the JSON files of a run folder must hold, so that whoever reads them may rely on it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Share = Annotated[float, Field(ge=0.0, lt=1.0)]
_Count = Annotated[int, Field(ge=1)]
_PerChannel = Annotated[list[float], Field(min_length=3, max_length=3)]


class _Schema(BaseModel):
    model_config = ConfigDict(strict=True)


class SplitOptions(_Schema):
    """Arguments of `tenfold.open_dataset` that drew the splits; none where they came by hand."""

    model_config = ConfigDict(extra="forbid")

    size: _Count | None = None
    validation: _Share = 0.0
    test: _Share = 0.0
    rows: _Count | None = None
    test_rows: _Count | None = None
    drop_leaks: bool = False
    seed: int = 0


class SourceSchema(_Schema):
    """``source.json``."""

    name: str
    kind: str
    fingerprint: str
    splits: dict[str, int]
    options: SplitOptions
    skipped: list[list[str]]


class MachineSchema(_Schema):
    """What is shown of the machine; more is written."""

    system: str
    cpu: str
    cores: int


class PortionsSchema(_Schema):
    """How many pictures are computed at a time."""

    model_config = ConfigDict(extra="forbid")

    training: _Count
    evaluation: _Count


class TimeLimitSchema(_Schema):
    """How long a training may be."""

    model_config = ConfigDict(extra="forbid")

    seconds: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
    most_epochs: _Count


class EnvironmentSchema(_Schema):
    """``environment.json``; runs of before the last three fields, or without them, lack them."""

    machine: MachineSchema
    versions: dict[str, str]
    precision: Literal["float32", "bf16"]
    precision_reason: str
    seed: int
    started: str | None = None
    portions: PortionsSchema | None = None
    time_budget: TimeLimitSchema | None = None


class PreprocessingSchema(_Schema):
    """``preprocessing.json``."""

    size: _Count
    offset: _PerChannel
    scale: _PerChannel
    class_names: Annotated[list[str], Field(min_length=2)]


class QualitySchema(_Schema):
    """How good probabilities are; what could not be computed is null."""

    loss: float | None
    expected_calibration_error: float | None


class CalibrationSchema(_Schema):
    """``calibration.json``."""

    temperature: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
    split: str
    count: Annotated[int, Field(ge=0)]
    before: QualitySchema | None
    after: QualitySchema | None
    reason: str | None
