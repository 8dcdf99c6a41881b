"""``tenfold data``: looking at a source, and preparing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenfold.cli._console import say, say_json, say_table
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
    source: SourceArgument = "digits", mirror: MirrorOption = None, json: JsonOption = False
) -> None:
    """Print what a source holds: its splits and classes.

    Example: tenfold data info pictures.zip
    """
    dataset = _open(source, mirror)
    splits = {split.name: split for split in (dataset.train, dataset.validation, dataset.test)}
    counts = {name: split.class_counts(len(dataset.class_names)) for name, split in splits.items()}
    if json:
        say_json(
            {
                "source": dataset.source,
                "kind": dataset.kind,
                "fingerprint": dataset.fingerprint,
                "size": dataset.size,
                "class_names": dataset.class_names,
                "counts": {name: count.tolist() for name, count in counts.items()},
                "skipped": dataset.skipped,
            }
        )
        return
    say(f"{dataset.source}: {dataset.kind}, fingerprint {dataset.fingerprint[:12]}")
    for name, split in splits.items():
        shape = (len(split), dataset.size, dataset.size, 3)
        say(f"{name}: pictures {shape}, labels {(len(split), len(dataset.class_names))} one-hot")
    say("")
    rows = zip(dataset.class_names, *counts.values(), strict=True)
    say_table(["class", *splits], [[name, *(f"{n:,}" for n in numbers)] for name, *numbers in rows])


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
