"""The command line: parsing arguments and printing, nothing else."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tenfold.errors import TenfoldError

if TYPE_CHECKING:
    import keras

    from tenfold.data.dataset import Dataset
    from tenfold.evaluation import Evaluation, Summary
    from tenfold.recipe import Recipe

app = typer.Typer(
    help="Train image classifiers on the computer you have.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data = typer.Typer(help="Look at a source, and prepare it.", no_args_is_help=True)
runs = typer.Typer(help="List, show and compare runs.", invoke_without_command=True)
recipes = typer.Typer(help="List and show the recipes that ship.", invoke_without_command=True)
app.add_typer(data, name="data")
app.add_typer(runs, name="runs")
app.add_typer(recipes, name="recipes")

# Progress and logs go to stderr, so that stdout holds the answer alone.
log = Console(stderr=True)
out = Console()

SourceArgument = Annotated[
    str,
    typer.Argument(
        help="digits, cifar10, cifar100; or a folder, archive, table or .npz file.",
        show_default=True,
    ),
]
RunArgument = Annotated[str, typer.Argument(help="A run's folder, or 'latest'.")]
RecipeOption = Annotated[
    str, typer.Option("--recipe", "-r", help="A recipe's name, or a .toml file.")
]
SetOption = Annotated[
    list[str],
    typer.Option("--set", "-s", metavar="SECTION.KEY=VALUE", help="Change a recipe's setting."),
]
MirrorOption = Annotated[
    str | None,
    typer.Option(
        help="Where to download cifar10 or cifar100 from: an address or a folder.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
PictureOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="Where to save the PNG.", show_default=False)
]


@app.command()
def train(
    source: SourceArgument = "digits",
    recipe: RecipeOption = "lab-2",
    set_: SetOption = [],  # noqa: B006  # Typer reads the default, nothing changes it
    rows: Annotated[int | None, typer.Option(help="Use this many training pictures.")] = None,
    test_rows: Annotated[int | None, typer.Option(help="Use this many test pictures.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Train for this many epochs.")] = None,
    seed: Annotated[int | None, typer.Option(help="Start from this seed.")] = None,
    out_: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run's folder.", show_default=False)
    ] = None,
    mirror: MirrorOption = None,
    json: JsonOption = False,
) -> None:
    """Train a recipe on a source, test it, and leave a run folder.

    Example: tenfold train pictures.zip --recipe lab-1 --epochs 5 --set optimizer.name=sgd
    """
    from tenfold import api

    shorthands = {
        "data.rows": rows,
        "data.test_rows": test_rows,
        "training.epochs": epochs,
        "seed": seed,
    }
    overrides = [
        *set_,
        *(f"{key}={value}" for key, value in shorthands.items() if value is not None),
    ]
    with _preparing() as progress, _display() as callbacks:
        run = api.train(
            source,
            recipe,
            overrides=overrides,
            out=out_,
            mirror=mirror,
            callbacks=callbacks,
            progress=progress,
        )
    from tenfold.evaluation import load_result

    result = load_result(run)
    if json:
        _print_json({"run": str(run.path), **result.to_json()})
        return
    _say(f"test accuracy {_percent(result.test)}")
    _say(
        f"trained {result.epochs} epochs in {result.seconds:.1f} s, "
        f"{result.images_per_second:,.0f} images/s, "
        f"peak memory {result.peak_memory_bytes / 1e6:,.0f} MB"
    )
    _say(f"run {run.path}")


@app.command()
def evaluate(
    run: RunArgument = "latest",
    on: Annotated[
        str | None, typer.Option(help="Evaluate on this source instead.", show_default=False)
    ] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average over mirror images.")] = False,
    json: JsonOption = False,
) -> None:
    """Evaluate a run's model on the test split of its source, or on another source.

    Example: tenfold evaluate latest --on new-pictures/
    """
    from tenfold import api

    found = api.load_run(run)
    with _preparing() as progress:
        evaluation = found.evaluate(on, tta=tta, progress=progress)
    if json:
        _print_json({"run": str(found.path), **evaluation.to_json()})
        return
    _say(f"accuracy {_percent(evaluation)}, loss {evaluation.loss:.4f}")
    table = Table("class", "pictures", "accuracy")
    for name, count, accuracy in zip(
        evaluation.class_names, evaluation.class_counts, evaluation.class_accuracy, strict=True
    ):
        table.add_row(_plain(name), f"{count:,}", f"{accuracy:.1%}")
    out.print(table)


@data.command()
def info(
    source: SourceArgument = "digits", mirror: MirrorOption = None, json: JsonOption = False
) -> None:
    """Print what a source holds: classes, pictures in each split, what was skipped.

    Example: tenfold data info pictures.zip
    """
    dataset = _open(source, mirror)
    splits = {split.name: split for split in (dataset.train, dataset.validation, dataset.test)}
    counts = {name: split.class_counts(len(dataset.class_names)) for name, split in splits.items()}
    if json:
        _print_json(
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
    _say(f"{dataset.source}: {dataset.kind}, fingerprint {dataset.fingerprint[:12]}")
    for name, split in splits.items():
        shape = (len(split), dataset.size, dataset.size, 3)
        _say(f"{name}: pictures {shape}, labels {(len(split), len(dataset.class_names))} one-hot")
    table = Table("class", *splits)
    for label, class_name in enumerate(dataset.class_names):
        table.add_row(_plain(class_name), *(f"{count[label]:,}" for count in counts.values()))
    out.print(table)
    _report_skipped(dataset)


@data.command()
def prepare(source: SourceArgument = "digits", mirror: MirrorOption = None) -> None:
    """Decode a source into its store, so that trainings start at once.

    Example: tenfold data prepare pictures.zip
    """
    dataset = _open(source, mirror)
    total = len(dataset.train) + len(dataset.validation) + len(dataset.test)
    _say(f"{dataset.source}: {total:,} pictures are ready")
    _report_skipped(dataset)


@data.command()
def show(
    source: SourceArgument = "digits",
    out_: PictureOption = None,
    per_class: Annotated[int, typer.Option(min=1, max=100, help="Pictures of each class.")] = 8,
    seed: Annotated[int, typer.Option(help="Which pictures.")] = 0,
    mirror: MirrorOption = None,
) -> None:
    """Draw sample pictures of every class as a PNG.

    Example: tenfold data show cifar10 --per-class 12
    """
    from tenfold.data.inspect import draw_samples

    dataset = _open(source, mirror)
    path = draw_samples(dataset, out_ or Path("samples.png"), per_class, seed)
    _say(f"saved {path}")


@data.command()
def augment(
    source: SourceArgument = "digits",
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            "-r",
            help="Whose augmentation; the lab's where left out.",
            show_default=False,
        ),
    ] = None,
    set_: SetOption = [],  # noqa: B006  # as above
    out_: PictureOption = None,
    seed: Annotated[int, typer.Option(help="Which pictures and which draws.")] = 0,
    mirror: MirrorOption = None,
) -> None:
    """Draw each augmentation by itself on sample pictures, then all together, as a PNG.

    Example: tenfold data augment cifar10 --set augmentation.cutout=0.5
    """
    import numpy as np

    from tenfold.augment.draw import LAB, draw_effects
    from tenfold.recipe import Recipe, load_recipe

    chosen = (
        Recipe(name="lab", augmentation=LAB).overridden(set_)
        if recipe is None
        else load_recipe(recipe, set_)
    )
    dataset = _open(source, mirror)
    picks = np.random.default_rng(seed).permutation(len(dataset.train))[:12]
    pictures, _ = dataset.train.gather(np.sort(picks))
    path = draw_effects(pictures, chosen.augmentation, out_ or Path("augmentation.png"), seed)
    _say(f"saved {path}")


@runs.callback()
def runs_default(context: typer.Context) -> None:
    """List the runs where no command is given."""
    if context.invoked_subcommand is None:
        list_runs()


@runs.command("list")
def list_runs(json: JsonOption = False) -> None:
    """List the runs in runs/, newest first.

    Example: tenfold runs list
    """
    from tenfold import run
    from tenfold.evaluation import summarize

    summaries = [summarize(found) for found in run.list_runs()]
    if json:
        _print_json({"runs": [_summary_values(summary) for summary in summaries]})
        return
    if not summaries:
        _say("there are no runs in runs/ yet; make one with: tenfold train")
        return
    out.print(_table(summaries))


@runs.command("show")
def show_run(run: RunArgument = "latest", json: JsonOption = False) -> None:
    """Print what a run did and what came of it.

    Example: tenfold runs show latest
    """
    from tenfold.evaluation import summarize
    from tenfold.run import load_run

    found = load_run(run)
    summary = summarize(found)
    if json:
        files = ("source", "environment", "result") if found.finished else ("source", "environment")
        parts = {name: getattr(found, name)() for name in files}
        _print_json({"run": str(found.path), "recipe": found.recipe().model_dump(), **parts})
        return
    out.print(_table([summary]))
    source, environment = found.source(), found.environment()
    sizes = ", ".join(f"{count:,} {name}" for name, count in source["splits"].items())
    _say(f"source {source['name']} ({source['kind']}): {sizes}")
    _say(f"fingerprint {source['fingerprint']}")
    computer = environment["machine"]
    _say(f"machine {computer['cpu']}, {computer['cores']} cores, {computer['system']}")
    _say(f"precision {environment['precision']}: {environment['precision_reason']}")
    _say(", ".join(f"{name} {version}" for name, version in environment["versions"].items()))
    _say("")
    _say(found.recipe().to_toml().rstrip())


@runs.command("compare")
def compare_runs(
    run: Annotated[list[str], typer.Argument(help="Two runs or more.", metavar="RUN RUN...")],
    json: JsonOption = False,
) -> None:
    """Print what differs between runs, settings and results side by side.

    Example: tenfold runs compare runs/a runs/b
    """
    from tenfold.evaluation import compare
    from tenfold.run import load_run

    comparison = compare([load_run(path) for path in run])
    if json:
        _print_json(
            {
                "runs": [_summary_values(summary) for summary in comparison.summaries],
                "differences": {d.key: d.values for d in comparison.differences},
            }
        )
        return
    table = Table("", *(_plain(summary.run.path.name) for summary in comparison.summaries))
    for difference in comparison.differences:
        table.add_row(difference.key, *(_plain(str(value)) for value in difference.values))
    table.add_section()
    rows = [_summary_row(summary)[2:] for summary in comparison.summaries]
    for title, *values in zip(_COLUMNS[2:], *rows, strict=True):
        table.add_row(title, *values)
    out.print(table)


@recipes.callback()
def recipes_default(context: typer.Context) -> None:
    """List the recipes where no command is given."""
    if context.invoked_subcommand is None:
        list_recipes()


@recipes.command("list")
def list_recipes(json: JsonOption = False) -> None:
    """List the recipes that ship.

    Example: tenfold recipes list
    """
    from tenfold.recipe import load_recipe, shipped

    found = [load_recipe(name) for name in shipped()]
    if json:
        _print_json({"recipes": {recipe.name: recipe.description for recipe in found}})
        return
    table = Table("recipe", "what it is")
    for recipe in found:
        table.add_row(recipe.name, recipe.description)
    out.print(table)


@recipes.command("show")
def show_recipe(
    name: Annotated[str, typer.Argument(help="A recipe's name, or a .toml file.")],
    set_: SetOption = [],  # noqa: B006  # as above
    json: JsonOption = False,
) -> None:
    """Print every setting of a recipe as TOML.

    Example: tenfold recipes show lab-2
    """
    from tenfold.recipe import load_recipe

    recipe = load_recipe(name, set_)
    if json:
        _print_json(recipe.model_dump())
        return
    _say(recipe.to_toml().rstrip())


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Train image classifiers on the computer you have."""
    if version:
        import tenfold

        _say(tenfold.__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; exit codes are those of docs/command-line.md."""
    # TensorFlow reads these when it is imported. Its start-up notes say nothing that a user could
    # act on; its errors still come through.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        app()
    except TenfoldError as error:
        log.print(f"tenfold: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        log.print("tenfold: interrupted", highlight=False)
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        log.print("tenfold: this is a fault of ours; please report it with the lines above")
        sys.exit(1)


_COLUMNS = ("run", "state", "test accuracy", "95% interval", "seconds", "images/s", "peak MB")


def _table(summaries: Sequence[Summary]) -> Table:
    table = Table(*_COLUMNS)
    for summary in summaries:
        table.add_row(*_summary_row(summary))
    return table


def _summary_row(summary: Summary) -> list[str]:
    name, result = _plain(str(summary.run.path)), summary.result
    if result is None:
        return [name, _plain(summary.damage) or summary.state, *[""] * (len(_COLUMNS) - 2)]
    low, high = result.test.interval
    return [
        name,
        summary.state,
        f"{result.test.accuracy:.2%}",
        f"{low:.2%} to {high:.2%}",
        f"{result.seconds:,.1f}",
        f"{result.images_per_second:,.0f}",
        f"{result.peak_memory_bytes / 1e6:,.0f}",
    ]


def _summary_values(summary: Summary) -> dict[str, Any]:
    return {
        "run": str(summary.run.path),
        "state": summary.state,
        "recipe": summary.recipe,
        "damage": summary.damage,
        "result": summary.result and summary.result.to_json(),
    }


def _open(source: str, mirror: str | None) -> Dataset:
    from tenfold.data.dataset import open_dataset

    with _preparing() as progress:
        return open_dataset(source, mirror=mirror, progress=progress)


@contextmanager
def _preparing() -> Iterator[Callable[[int, int | None], None]]:
    """A bar that appears with the first picture that is decoded, and leaves with the last."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("preparing pictures"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=log,
        transient=True,
        disable=not log.is_terminal,
    )
    task = bar.add_task("prepare", total=None)

    def progress(done: int, total: int | None) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)
        if total is not None and done >= total:
            bar.stop()

    try:
        yield progress
    finally:
        bar.stop()


@contextmanager
def _display() -> Iterator[Callable[[Dataset, Recipe], list[keras.callbacks.Callback]]]:
    """Makes the live display of a training, and takes it away however the training ends."""
    opened = []

    def callbacks(dataset: Dataset, recipe: Recipe) -> list[keras.callbacks.Callback]:
        from tenfold.training.fit import training_order
        from tenfold.training.progress import ProgressDisplay

        order = training_order(recipe, dataset)
        _report_skipped(dataset)
        log.print(
            f"training {recipe.name} on {dataset.source}: {len(dataset.train):,} pictures of "
            f"{dataset.size}x{dataset.size} in {len(dataset.class_names)} classes, "
            f"{recipe.training.epochs} epochs of {order.steps_per_epoch:,} steps",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        display = ProgressDisplay(
            log,
            epochs=recipe.training.epochs,
            steps_per_epoch=order.steps_per_epoch,
            pictures=len(dataset.train),
        )
        opened.append(display)
        return [display]

    try:
        yield callbacks
    finally:
        for display in opened:
            display.close()


def _report_skipped(dataset: Dataset) -> None:
    if not dataset.skipped:
        return
    log.print(
        f"skipped {len(dataset.skipped)} damaged pictures: "
        + ", ".join(f"{name} ({reason})" for name, reason in dataset.skipped[:5])
        + (" and more" if len(dataset.skipped) > 5 else ""),
        style="yellow",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _percent(evaluation: Evaluation) -> str:
    low, high = evaluation.interval
    return (
        f"{evaluation.accuracy:.2%}, 95% interval {low:.2%} to {high:.2%} "
        f"({evaluation.correct:,} of {evaluation.count:,} pictures)"
    )


def _plain(text: str) -> str:
    """Text from a user's file, with what Rich would read as markup escaped."""
    from rich.markup import escape

    return escape(text)


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def _print_json(value: Any) -> None:
    from tenfold.files import to_json

    sys.stdout.write(to_json(value, indent=2) + "\n")
