"""``tenfold train``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli._console import ERR, log, say, say_json
from tenfold.cli._format import accuracy_with_interval, counted, report_skipped
from tenfold.cli._options import (
    JsonOption,
    MirrorOption,
    RecipeOption,
    SetOption,
    SourceArgument,
    whole_number,
)
from tenfold.cli._progress import Preparation

if TYPE_CHECKING:
    import keras

    from tenfold.data.dataset import Dataset
    from tenfold.recipe import Recipe
    from tenfold.training.progress import ProgressDisplay


def _number(purpose: str) -> Any:
    # The bounds are the recipe's, which says so itself.
    return typer.Option(metavar="N", parser=whole_number(), help=purpose)


def train(
    source: SourceArgument = "digits",
    recipe: RecipeOption = None,
    set_: SetOption = [],  # noqa: B006  # Typer reads the default, nothing changes it
    rows: Annotated[int | None, _number("Use at most N training pictures.")] = None,
    test_rows: Annotated[int | None, _number("Use at most N test pictures.")] = None,
    epochs: Annotated[int | None, _number("Train for N epochs.")] = None,
    seed: Annotated[int | None, _number("Draw all that is random from seed N.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="The run's folder.")
    ] = None,
    mirror: MirrorOption = None,
    json: JsonOption = False,
) -> None:
    """Train a recipe on a source, test it, and leave a run folder.

    Example: tenfold train pictures.zip --recipe lab-1 --epochs 5 --set optimizer.name=sgd
    """
    from tenfold import api
    from tenfold.evaluation import load_result

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
            return [display.enter_context(closing(_announce(dataset, recipe)))]

        try:
            run = api.train(
                source,
                recipe,
                overrides=[*set_, *given],
                out=out,
                mirror=mirror,
                callbacks=callbacks,
                progress=preparation.decode,
                download_progress=preparation.download,
            )
        except api.TrainingInterrupted as interruption:
            display.close()
            unfinished = interruption.run
            saved = f"; its model is {unfinished.model_path}" * unfinished.model_path.is_file()
            log(f"run {unfinished.path} is unfinished{saved}")
            raise

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
    say(f"run {run.path}")


def _announce(dataset: Dataset, recipe: Recipe) -> ProgressDisplay:
    """Say what is about to be trained; the display that follows it."""
    from tenfold.training.fit import training_order
    from tenfold.training.progress import ProgressDisplay

    steps, epochs = training_order(recipe, dataset).steps_per_epoch, recipe.training.epochs
    report_skipped(dataset)
    log(
        f"training {recipe.name} on {dataset.source}: {counted(len(dataset.train), 'picture')} of "
        f"{dataset.size}x{dataset.size} in {len(dataset.class_names)} classes, "
        f"{counted(epochs, 'epoch')} of {counted(steps, 'step')}"
    )
    return ProgressDisplay(
        ERR,
        epochs=epochs,
        steps_per_epoch=steps,
        pictures=len(dataset.train),
    )
