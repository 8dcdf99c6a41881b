"""What the JSON files of a run folder must hold, so that whoever reads them may rely on it."""

from __future__ import annotations

from typing import Annotated

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


class EnvironmentSchema(_Schema):
    """``environment.json``."""

    machine: MachineSchema
    versions: dict[str, str]
    precision: str
    precision_reason: str
    seed: int


class PreprocessingSchema(_Schema):
    """``preprocessing.json``."""

    size: _Count
    offset: _PerChannel
    scale: _PerChannel
    class_names: Annotated[list[str], Field(min_length=2)]
