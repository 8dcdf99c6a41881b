"""A recipe: everything that defines a training, as one TOML file.

A recipe is read from a name (one that Tenfold ships) or a path, changed by ``section.key=value``
overrides, validated, and written into the run folder in full, so that a run can be repeated from
its folder alone.
"""

from __future__ import annotations

import reprlib
import tomllib
from collections.abc import Iterable
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from tenfold.errors import RecipeError
from tenfold.files import read_file
from tenfold.suggestions import did_you_mean, did_you_mean_path, did_you_mean_setting

_FILE_BYTES = 64 << 10  # those that we ship have two thousand
_DOTS = 100

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
BelowOne = Annotated[float, Field(ge=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


_Plan = Annotated[
    list[Annotated[int, Field(ge=0, le=2**31 - 1)]], Field(min_length=2, max_length=2)
]


class _Section(BaseModel):
    """Settings of one section: unknown keys are errors, values never change after reading."""

    # Strict, because TOML has types: "5" and true are no numbers.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, strict=True)


_LAB = ("lab-1", "lab-2")


class ModelSection(_Section):
    """Which network, and the choices that LAB.md leaves open or gets wrong on purpose.

    A network refuses what it has no use for; docs/networks.md says which has what.
    """

    name: str = "lab-2"
    conv_activation: Literal["relu", "selu"] = "relu"
    """Activation after the convolutions of lab-2: the report's code has ReLU, its text SELU."""
    dropout: BelowOne = 0.4
    """Left out, it is 0.4 in the lab's networks, as in the report, and 0 in all others."""
    initial_weights: Literal["scaled", "unit-normal"] = "scaled"
    """``scaled``: variance by fan-in (He for ReLU, LeCun for SELU). ``unit-normal``: N(0, 1) for
    every weight and bias, as published."""
    batch_norm: Literal["moving", "frozen"] = "moving"
    """``frozen``: statistics stay at mean 0 and variance 1, as in the published code."""

    @model_validator(mode="before")
    @classmethod
    def _dropout_is_the_labs(cls, settings: Any) -> Any:
        if isinstance(settings, dict) and settings.get("name", "lab-2") not in _LAB:
            return {"dropout": 0.0, **settings}
        return settings


class DataSection(_Section):
    """How pictures become arrays."""

    size: Annotated[int, Field(ge=4, le=1024)] | None = None
    """Side of the square input in pixels; None: the source's own size, or 32 where it has none."""
    normalization: Literal["minmax", "standard"] = "standard"
    """``minmax``: pixels to [0, 1]. ``standard``: per channel, by the training split's mean and
    standard deviation."""
    validation: BelowOne = 0.1
    """Share of the training pictures held out, where the source has no validation split."""
    test: BelowOne = 0.2
    """Share of all pictures held out for the test, where the source has no test split."""
    rows: Count | None = None
    """The most training pictures; None: all. Every class keeps its share."""
    test_rows: Count | None = None
    """The most test pictures, likewise."""
    drop_leaks: bool = False
    """Leave out training and validation pictures that are duplicates of test pictures, and training
    pictures that are duplicates of validation pictures. Takes a search the first time."""


class AugmentationSection(_Section):
    """Random changes to training pictures, drawn anew for each picture and epoch."""

    rotation: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    """Largest angle, degrees, either way."""
    width_shift: Fraction = 0.0
    """Largest shift as a share of the width, either way."""
    height_shift: Fraction = 0.0
    whole_pixels: bool = False
    """Round shifts to whole pixels, so that they move pictures without blurring them."""
    zoom: BelowOne = 0.0
    """Scale is drawn from [1 - zoom, 1 + zoom]."""
    shear: Annotated[float, Field(ge=0.0, le=60.0)] = 0.0
    """Largest shear angle, degrees, either way."""
    flip: Literal["none", "random", "alternate"] = "none"
    """``random``: half of the pictures, drawn each epoch. ``alternate``: drawn for the first epoch,
    then every picture is mirrored in every other epoch."""
    fill: Literal["nearest", "reflect", "wrap", "constant"] = "nearest"
    """What is seen beyond the edge of a picture."""
    fill_value: Annotated[float, Field(ge=0.0, le=255.0)] = 0.0
    """Pixel value for ``fill = "constant"``."""
    rescale: Positive = 1.0
    """Factor on every pixel value (2 in the report)."""
    brightness: Fraction = 0.0
    """Largest change of brightness as a share of the full range, either way."""
    contrast: BelowOne = 0.0
    """Contrast factor is drawn from [1 - contrast, 1 + contrast]."""
    cutout: Fraction = 0.0
    """Side of an erased square as a share of the picture's side."""
    mixup: NotNegative = 0.0
    """Alpha of the Beta distribution that mixes pairs of pictures; 0 is off."""


class OptimizerSection(_Section):
    """The optimizer and its own settings."""

    name: Literal["rmsprop", "sgd", "adamw", "muon", "muon-sgd"] = "adamw"
    learning_rate: Positive = 0.001
    momentum: BelowOne = 0.9
    """Used by sgd (Nesterov), rmsprop, muon and muon-sgd."""
    weight_decay: NotNegative = 0.0
    """For muon-sgd, of biases and head alone, and for each picture of a batch."""
    bias_rate: Positive = 0.053
    """Learning rate of biases, for each picture of a batch; used by muon-sgd."""
    head_rate: Positive = 0.67
    """Likewise of the last layer, as if its output were divided by its number of inputs."""
    stem_share: Fraction = 0.375
    """Share of the training in which the bias of a whitening first layer is trained; muon-sgd."""
    clip_norm: Positive | None = None


class ScheduleSection(_Section):
    """How the learning rate moves over the training."""

    name: Literal["constant", "cosine", "one-cycle", "linear"] = "constant"
    warmup: BelowOne = 0.0
    """Share of all steps over which the rate rises to its full value: linearly, or along a cosine
    for one-cycle."""
    final: Fraction = 0.0
    """Where the rate ends, one step after the last, as a share of the full value (not used by
    constant)."""
    plans: Annotated[list[_Plan], Field(min_length=1, max_length=1000)] | None = None
    """How a time budget stretched the schedule, as a run with one records it: pairs of the step
    from which a plan held, and how many steps it gave the whole training. Needs
    ``training.steps``; None: it is stretched over the training evenly."""


class TrainingSection(_Section):
    """The loop."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 10
    steps: Count | None = None
    """Length in steps, in place of epochs; the last epoch may then be short."""
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 128
    shuffle: bool = True
    share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Of the training pictures that an epoch is about: below 1, those that are learnt least."""
    whole_epochs: Annotated[int, Field(ge=0, le=100_000)] = 4
    """Where ``share`` is below 1: the first epochs, which take all pictures in turn."""
    noise: NotNegative = 0.5
    """Where ``share`` is below 1: how much chance there is in what is chosen; 0 is none."""
    small_size: Annotated[int, Field(ge=4, le=1024)] | None = None
    """Side of the pictures in the first part of the training, pixels; None: no smaller ones."""
    small_share: Fraction = 0.25
    """How much of the training that part is."""
    loss: Literal["cross-entropy", "doubled-softmax"] = "cross-entropy"
    """``doubled-softmax``: the loss is fed probabilities as if they were logits, as published."""
    label_smoothing: BelowOne = 0.0
    average: BelowOne = 0.0
    """Decay of the moving average of the weights that is evaluated and saved; 0 is off."""
    early_stopping: Count | None = None
    """Stop after this many epochs without a better validation loss, and keep the best weights."""
    precision: Literal["auto", "float32", "bf16"] = "auto"


class Recipe(_Section):
    """Everything that defines a training."""

    name: str = "custom"
    description: str = ""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    model: ModelSection = ModelSection()
    data: DataSection = DataSection()
    augmentation: AugmentationSection = AugmentationSection()
    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection = ScheduleSection()
    training: TrainingSection = TrainingSection()

    @model_validator(mode="after")
    def _early_stopping_needs_validation(self) -> Recipe:
        if self.training.early_stopping is not None and self.data.validation == 0.0:
            raise ValueError(
                "training.early_stopping watches the validation split: "
                "set data.validation above 0, or leave early_stopping out"
            )
        return self

    @model_validator(mode="after")
    def _plans_follow_each_other(self) -> Recipe:
        if (plans := self.schedule.plans) is None:
            return self
        if self.training.steps is None:
            raise ValueError("schedule.plans needs training.steps, as a time budget records both")
        if plans[0][0] != 0 or plans[0][1] < 1:
            raise ValueError("schedule.plans begins at step 0, with a step or more: [[0, 100]]")
        for (before, ends), (first, steps) in pairwise(plans):
            if not before < first < min(ends, steps):
                raise ValueError(
                    f"schedule.plans: [{first}, {steps}] begins before or after the plan "
                    f"[{before}, {ends}], or after its own end; take them from a run's repeat.toml"
                )
        return self

    def overridden(self, overrides: Iterable[str]) -> Recipe:
        """This recipe with ``section.key=value`` overrides applied; see `load_recipe`."""
        settings = self.model_dump()
        for override in overrides:
            _apply(settings, override)
        return validate(settings, origin=self.name)

    def to_toml(self) -> str:
        """This recipe as TOML, every setting written out; None is written as an absent key."""
        return tomli_w.dumps(self.model_dump(exclude_none=True))


def shipped() -> dict[str, Path]:
    """Names of the recipes that Tenfold ships, and where each lies, sorted by name."""
    folder = Path(str(resources.files("tenfold"))) / "recipes"
    return dict(sorted((path.stem, path) for path in folder.glob("*.toml")))


def load_recipe(name_or_path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe by name or path, apply overrides, and validate the whole.

    Args:
        name_or_path: the name of a shipped recipe, or the path of a ``.toml`` file.
        overrides: ``section.key=value`` texts; a value is read as TOML, or else as plain text.
            ``none`` clears an optional setting.

    Raises:
        RecipeError: there is no such recipe, it is not valid TOML, an override is malformed, or
            a value is out of range.
    """
    path = _find(name_or_path)
    try:
        settings = _parse(read_file(path, _FILE_BYTES).decode("utf-8"))
    except OSError as error:
        raise RecipeError(f"recipe {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"recipe {path} is not valid TOML: {error}; mend that line") from None
    settings.setdefault("name", path.stem)
    for override in overrides:
        _apply(settings, override)
    return validate(settings, origin=str(name_or_path))


def validate(settings: dict[str, Any], origin: str) -> Recipe:
    """Build a recipe from plain settings; ``origin`` names them in error messages."""
    try:
        return Recipe.model_validate(settings)
    except ValidationError as error:
        raise RecipeError(f"recipe {origin}: " + "; ".join(_explain(error))) from None


def _find(name_or_path: str | Path) -> Path:
    recipes = shipped()
    if str(name_or_path) in recipes:
        return recipes[str(name_or_path)]
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.is_file():
        if path.is_file():
            return path
        raise RecipeError(f"no recipe file at {path}{did_you_mean_path(path)}; check the path")
    raise RecipeError(
        f"no recipe called '{name_or_path}'{did_you_mean(str(name_or_path), recipes)}; "
        f"there are {', '.join(recipes)}, or give the path of a .toml file"
    )


def _parse(text: str) -> dict[str, Any]:
    """TOML to plain values, in time that does not outgrow the text.

    Raises:
        ValueError: it is not valid.
        RecursionError: it is nested too deep.
    """
    # tomllib takes the square of the parts of a dotted key, which lies in one line.
    if any(line.count(".") > _DOTS for line in text.splitlines()):
        raise ValueError(f"a line with more than {_DOTS} dots")
    return tomllib.loads(text)


def _apply(settings: dict[str, Any], override: str) -> None:
    """Change one setting in place from a ``section.key=value`` text."""
    key, separator, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not separator or not all(parts) or len(parts) > 2:
        raise RecipeError(
            f"override '{override}' is not section.key=value; "
            "write it like --set optimizer.learning_rate=0.01"
        )
    if any("\ud800" <= character <= "\udfff" for character in override):
        raise RecipeError(f"override {override!a} holds bytes that are not UTF-8; retype it")
    table = settings
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise RecipeError(f"override '{override}': '{part}' is a setting, and no section")
    table[parts[-1]] = _parse_value(text.strip())


def _parse_value(text: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        parsed = _parse(f"value = {text}")
    except (ValueError, RecursionError):
        return text  # a bare word, as in model.name=lab-1
    return parsed["value"] if len(parsed) == 1 else text


_RULES = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "finite_number": "must be finite",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge:.10g}",
    "greater_than": "must be above {gt:.10g}",
    "less_than_equal": "must be at most {le:.10g}",
    "less_than": "must be below {lt:.10g}",
    "list_type": "must be a list",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "model_type": "is a section, set one of its keys",
}
"""What pydantic's kinds of errors mean to a user."""


def _explain(error: ValidationError) -> Iterable[str]:
    """One phrase for each problem: the key, the rule that it breaks, and what was received."""
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            yield f"unknown setting '{key}'{did_you_mean_setting(key, setting_fields())}"
        elif not key:
            yield problem["msg"].removeprefix("Value error, ")
        else:
            rule = _RULES[problem["type"]].format(**problem.get("ctx", {}))
            received = problem["input"]
            hint = ""
            if problem["type"] == "literal_error" and isinstance(received, str):
                hint = did_you_mean(received, _choices(key))
            yield f"{key} {rule}. Received: {_as_toml(received)}{hint}"


def _choices(key: str) -> list[str]:
    """The values that a setting can take, where they are listed."""
    return [str(value) for value in get_args(setting_fields()[key].annotation)]


def _as_toml(value: Any) -> str:
    """A value as it is written in a recipe, shortened where it is long."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


def setting_fields() -> dict[str, FieldInfo]:
    """Every setting by its ``section.key``, in order, with its type and default."""
    fields: dict[str, FieldInfo] = {}
    for name, field in Recipe.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            fields |= {f"{name}.{key}": inner for key, inner in section.model_fields.items()}
        else:
            fields[name] = field
    return fields
