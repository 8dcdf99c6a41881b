"""What a run starts from, as its folder says it: written once, and read where it is resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

from tenfold import machine
from tenfold.data.dataset import Dataset
from tenfold.data.sources import SourceName
from tenfold.errors import RecipeError
from tenfold.files import atomic_write_json, atomic_write_text
from tenfold.recipe import Recipe, validate
from tenfold.run import Run
from tenfold.training.pace import Plan
from tenfold.training.portions import Portions
from tenfold.training.time_budget import MOST_TIMES

if TYPE_CHECKING:
    from tenfold.data.normalization import Normalization

Precision = Literal["float32", "bf16"]


@dataclass(frozen=True)
class TimeLimit:
    """How long a training may be.

    Attributes:
        seconds: from the prepared pictures to the finished run.
        most_epochs: whatever the time.
    """

    seconds: float
    most_epochs: int

    @classmethod
    def of(cls, seconds: float, recipe: Recipe, overrides: Iterable[str]) -> TimeLimit:
        """The limit of a recipe whose epochs are the most where they were asked for.

        Raises:
            RecipeError: the recipe's length is a number of steps.
        """
        if recipe.training.steps is not None:
            raise RecipeError(
                "training.steps and a time budget both say how long to train; leave one out"
            )
        asked = any(one.partition("=")[0].strip() == "training.epochs" for one in overrides)
        return cls(seconds, recipe.training.epochs * (1 if asked else MOST_TIMES))


@dataclass(frozen=True)
class Origins:
    """What a run's first process decided, and every later one keeps to.

    Attributes:
        precision: what the network computes in.
        started: when the run began, UTC, ISO 8601.
        portions: how many pictures are computed at a time; None: that is not decided yet.
        time_limit: how long the training may be; None: as long as the recipe has it.
    """

    precision: Precision
    started: str
    portions: Portions | None = None
    time_limit: TimeLimit | None = None


def write(
    run: Run, dataset: Dataset, recipe: Recipe, time_limit: TimeLimit | None = None
) -> Origins:
    """Write what the run starts from, before the first step, so that it outlives a crash."""
    atomic_write_text(run.recipe_path, recipe.to_toml())
    splits = (dataset.train, dataset.validation, dataset.test)
    atomic_write_json(
        run.source_path,
        {
            "name": lasting_name(dataset.source),
            "kind": dataset.kind,
            "fingerprint": dataset.fingerprint,
            "splits": {split.name: len(split) for split in splits},
            "options": dict(dataset.options),
            "skipped": dataset.skipped,
            "dropped": dict(dataset.dropped),
        },
    )
    return _write_environment(run, recipe, time_limit)


def read(run: Run, recipe: Recipe, warn: Callable[[str], None]) -> Origins:
    """Read what `write` wrote; say so where the versions have changed since.

    Raises:
        RunError: it is damaged.
    """
    if not run.environment_path.exists():  # cut off before it was written, and so before any step
        return _write_environment(run, recipe)
    written = run.environment()
    ours = machine.versions()
    changed = [
        f"{name} {version} is now {ours.get(name, 'not there')}"
        for name, version in written["versions"].items()
        if ours.get(name) != version
    ]
    if changed:
        warn(f"{', '.join(changed)}: the training may end in other bits than without a stop")
    portions, limit = written.get("portions"), written.get("time_budget")
    return Origins(
        cast(Precision, written["precision"]),
        written.get("started") or now(),
        Portions(**portions) if portions else None,
        TimeLimit(**limit) if limit else None,
    )


def write_portions(run: Run, portions: Portions) -> None:
    """Add to what `write` wrote how many pictures are computed at a time."""
    atomic_write_json(run.environment_path, run.environment() | {"portions": asdict(portions)})


def write_repeat(run: Run, recipe: Recipe, steps: int, plans: Sequence[Plan]) -> None:
    """Write the recipe that repeats a training with a time budget: by steps, not by the clock."""
    settings = recipe.model_dump()
    settings["training"]["steps"] = steps
    settings["schedule"]["plans"] = [list(plan) for plan in plans]
    atomic_write_text(run.repeat_path, validate(settings, origin=recipe.name).to_toml())


def write_preprocessing(run: Run, dataset: Dataset, normalization: Normalization) -> None:
    """Write what goes into the model and what comes out."""
    atomic_write_json(
        run.preprocessing_path,
        {
            "size": dataset.size,
            "offset": normalization.offset,
            "scale": normalization.scale,
            "class_names": dataset.class_names,
        },
    )


def lasting_name(source: str) -> str:
    """A path as it can be found from any folder; a name as it is, which wins over a path."""
    if source in get_args(SourceName) or not Path(source).exists():
        return source
    return str(Path(source).resolve())


def now() -> str:
    """The time of day, UTC, ISO 8601: to be read, and never to be reckoned with."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write_environment(run: Run, recipe: Recipe, time_limit: TimeLimit | None = None) -> Origins:
    computer = machine.describe()
    precision, reason = _precision(recipe, computer)
    origins = Origins(precision, now(), time_limit=time_limit)
    limit = {"time_budget": asdict(time_limit)} if time_limit else {}
    atomic_write_json(
        run.environment_path,
        {
            "machine": asdict(computer),
            "versions": machine.versions(),
            "precision": precision,
            "precision_reason": reason,
            "seed": recipe.seed,
            "started": origins.started,
            **limit,
        },
    )
    return origins


def _precision(recipe: Recipe, computer: machine.Machine) -> tuple[Precision, str]:
    if recipe.training.precision == "auto":
        return machine.preferred_precision(computer)
    return recipe.training.precision, "the recipe asks for it"
