"""``tenfold data``: looking at a source, and preparing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenfold.cli._console import say, say_json
from tenfold.cli._format import report_skipped
from tenfold.cli._options import (
    JsonOption,
    MirrorOption,
    PictureOption,
    SampleSeedOption,
    SetOption,
    SourceArgument,
    whole_number,
)
from tenfold.cli._progress import Preparation

if TYPE_CHECKING:
    from tenfold.data.dataset import Dataset

app = typer.Typer(invoke_without_command=True)

_AUGMENTED = 12
"""Pictures that augmentations are shown on."""


@app.callback()
def data(context: typer.Context) -> None:
    """Look at a source, and prepare it."""
    if context.invoked_subcommand is None:
        say(context.get_help())


@app.command()
def info(
    source: SourceArgument = "digits",
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Ask this run's model which labels look wrong."),
    ] = None,
    html: Annotated[
        bool, typer.Option("--html", help="Save a page with pictures of all that was found.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Where to save the page; data.html."),
    ] = None,
    mirror: MirrorOption = None,
    json: JsonOption = False,
) -> None:
    """Say what a source holds and what is wrong with it.

    Splits, classes, sizes, broken files, duplicates, leaks between splits; wrong labels, with
    --run.

    Example: tenfold data info pictures.zip --html
    """
    from tenfold import api
    from tenfold.cli._data_report import say_report
    from tenfold.data.report import as_json, write_page

    with Preparation() as preparation:
        report = api.inspect_data(
            source,
            run=api.load_run(run) if run is not None else None,
            mirror=mirror,
            progress=preparation.decode,
            download_progress=preparation.download,
            search_progress=preparation.search,
        )
    page = write_page(report, out or Path("data.html")) if html or out is not None else None
    if json:
        say_json({**as_json(report), "html": None if page is None else str(page)})
        return
    say_report(report)
    if page is not None:
        say(f"saved {page}")


@app.command()
def prepare(source: SourceArgument = "digits", mirror: MirrorOption = None) -> None:
    """Decode a source once, so that trainings start at once.

    Example: tenfold data prepare pictures.zip
    """
    dataset = _open(source, mirror)
    total = len(dataset.train) + len(dataset.validation) + len(dataset.test)
    say(f"{dataset.source}: {total:,} pictures are ready")


@app.command()
def show(
    source: SourceArgument = "digits",
    out: PictureOption = Path("samples.png"),
    per_class: Annotated[
        int,
        typer.Option(
            metavar="N", parser=whole_number(1, 100), help="At most N pictures of each class."
        ),
    ] = 8,
    seed: SampleSeedOption = 0,
    mirror: MirrorOption = None,
) -> None:
    """Draw sample pictures of every class as a PNG.

    Example: tenfold data show cifar10 --per-class 12
    """
    from tenfold.data.inspect import draw_samples

    dataset = _open(source, mirror)
    say(f"saved {draw_samples(dataset, out, per_class, seed)}")


@app.command()
def augment(
    source: SourceArgument = "digits",
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            "-r",
            metavar="RECIPE",
            help="Show this recipe's augmentation instead of the lab's.",
            rich_help_panel="Recipe",
        ),
    ] = None,
    set_: SetOption = [],  # noqa: B006  # Typer reads the default, nothing changes it
    out: PictureOption = Path("augmentation.png"),
    seed: SampleSeedOption = 0,
    mirror: MirrorOption = None,
) -> None:
    """Draw what each augmentation does, then all together.

    Example: tenfold data augment cifar10 --set augmentation.cutout=0.5
    """
    import numpy as np

    from tenfold.augment.draw import LAB, draw_effects
    from tenfold.recipe import Recipe, load_recipe

    if recipe is None:
        chosen = Recipe(name="lab", augmentation=LAB).overridden(set_)
    else:
        chosen = load_recipe(recipe, set_)
    dataset = _open(source, mirror)
    picks = np.random.default_rng(seed).permutation(len(dataset.train))[:_AUGMENTED]
    pictures, _ = dataset.train.gather(np.sort(picks))
    say(f"saved {draw_effects(pictures, chosen.augmentation, out, seed)}")


def _open(source: str, mirror: str | None) -> Dataset:
    from tenfold.data.dataset import open_dataset

    with Preparation() as preparation:
        dataset = open_dataset(
            source,
            mirror=mirror,
            progress=preparation.decode,
            download_progress=preparation.download,
        )
    report_skipped(dataset)
    return dataset
