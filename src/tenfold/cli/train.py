"""``tenfold train``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli._console import fail, log, say, say_json
from tenfold.cli._format import (
    accuracy_with_interval,
    budget_used,
    counted,
    report_leaks,
    report_skipped,
)
from tenfold.cli._options import (
    CheckpointOption,
    JsonOption,
    MemoryOption,
    MirrorOption,
    RecipeOption,
    SetOption,
    TimeOption,
    recipe_number,
)
from tenfold.cli._progress import Preparation

if TYPE_CHECKING:
    import keras

    from tenfold.data.dataset import Dataset
    from tenfold.recipe import Recipe
    from tenfold.training.progress import ProgressDisplay


_TERMINATED = 128 + 15
"""What a shell reports of a program that SIGTERM ended."""


def train(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="digits, cifar10, cifar100; or a folder, archive, table or .npz file; where left "
            "out, digits, or the run's own with --resume.",
        ),
    ] = None,
    recipe: RecipeOption = None,
    set_: SetOption = [],  # noqa: B006  # Typer reads the default, nothing changes it
    rows: Annotated[int | None, recipe_number("Use at most N training pictures.")] = None,
    test_rows: Annotated[int | None, recipe_number("Use at most N test pictures.")] = None,
    epochs: Annotated[int | None, recipe_number("Train for N epochs.")] = None,
    seed: Annotated[int | None, recipe_number("Draw all that is random from seed N.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="The run's folder.")
    ] = None,
    time: TimeOption = None,
    memory: MemoryOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an unfinished run where it stopped.")
    ] = False,
    checkpoint_every: CheckpointOption = None,
    mirror: MirrorOption = None,
    json: JsonOption = False,
) -> None:
    """Train a recipe on a source, test it, and leave a run folder.

    Example: tenfold train pictures.zip --recipe lab-1 --epochs 5 --set optimizer.name=sgd
    """
    from tenfold import api
    from tenfold.evaluation import load_result
    from tenfold.training.stop import Terminated

    shorthands = {
        "data.rows": rows,
        "data.test_rows": test_rows,
        "training.epochs": epochs,
        "seed": seed,
    }
    given = [f"{key}={value}" for key, value in shorthands.items() if value is not None]
    with ExitStack() as display, Preparation() as preparation:

        def callbacks(dataset: Dataset, recipe: Recipe) -> Sequence[keras.callbacks.Callback]:
            preparation.close()
            return [display.enter_context(closing(_announce(dataset, recipe, time)))]

        asked: dict[str, Any] = {
            "overrides": [*set_, *given],
            "mirror": mirror,
            "memory": memory,
            "time": time,
            "checkpoints": checkpoint_every,
            "callbacks": callbacks,
            "progress": preparation.decode,
            "download_progress": preparation.download,
            "search_progress": preparation.search,
            "warn": lambda text: log(text, style="yellow"),
        }
        try:
            if resume:
                run = api.resume(out, source, recipe, **asked)
            else:
                run = api.train(source or "digits", recipe, out=out, **asked)
        except api.TrainingInterrupted as interruption:
            display.close()
            unfinished = interruption.run
            saved = f"; its model is {unfinished.model_path}" * unfinished.model_path.is_file()
            log(f"run {unfinished.path} is unfinished{saved}")
            log(f"go on with: tenfold train --resume --out {shlex.quote(str(unfinished.path))}")
            if interruption.reason == "SIGINT":
                raise
            fail("terminated")
            raise typer.Exit(_TERMINATED) from None
        except Terminated:
            fail("terminated")
            raise typer.Exit(_TERMINATED) from None

    result = load_result(run)
    if json:
        say_json({"run": str(run.path), **result.to_json()})
        return
    say(f"test accuracy {accuracy_with_interval(result.test)}")
    say(
        f"trained {counted(result.epochs, 'epoch')} in {result.seconds:.1f} s, "
        f"{result.images_per_second:,.0f} images/s, "
        f"peak memory {result.peak_memory_bytes / 1e6:,.0f} MB"
    )
    if result.time_budget is not None:
        say(budget_used(result.time_budget))
    say(f"run {run.path}")
    if run.report_path.is_file():
        say(f"report {run.report_path}")


def _announce(dataset: Dataset, recipe: Recipe, time: float | None) -> ProgressDisplay:
    """Say what is about to be trained; the display that follows it."""
    from tenfold.cli._console import ERR
    from tenfold.training.fit import most_epochs, training_order
    from tenfold.training.progress import ProgressDisplay
    from tenfold.training.time_budget import in_words

    order = training_order(recipe, dataset)
    steps, epochs = order.steps_per_epoch, most_epochs(recipe, order)
    length = f"{counted(epochs, 'epoch')} of {counted(steps, 'step')}"
    if time is not None:
        length = f"{counted(steps, 'step')} an epoch, for {in_words(time)}"
    report_skipped(dataset)
    report_leaks(dataset)
    log(
        f"training {recipe.name} on {dataset.source}: {counted(len(dataset.train), 'picture')} of "
        f"{dataset.size}x{dataset.size} in {len(dataset.class_names)} classes, {length}"
    )
    return ProgressDisplay(
        ERR,
        epochs=epochs,
        steps_per_epoch=steps,
        pictures=order.pictures_per_epoch,
    )
