"""``tenfold runs``: listing, showing, comparing and reporting runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli._console import log, say, say_json, say_table
from tenfold.cli._options import JsonOption, RunArgument

if TYPE_CHECKING:
    from tenfold.evaluation import Summary

app = typer.Typer(invoke_without_command=True)

_FIGURES = ("test accuracy", "95% interval", "seconds", "images/s", "peak MB")


@app.callback()
def runs(context: typer.Context) -> None:
    """List, show, compare and report runs; alone, it lists them."""
    if context.invoked_subcommand is None:
        list_runs()


@app.command("list")
def list_runs(json: JsonOption = False) -> None:
    """List the runs in runs/, newest first.

    Example: tenfold runs list
    """
    from tenfold import run
    from tenfold.evaluation import summarize

    summaries = [summarize(found) for found in run.list_runs()]
    if json:
        say_json({"runs": [_values(summary) for summary in summaries]})
    elif summaries:
        _say_summaries(summaries)
    else:
        say("there are no runs in runs/ yet; make one with: tenfold train")


@app.command()
def show(run: RunArgument = "latest", json: JsonOption = False) -> None:
    """Print what a run did and what came of it.

    Example: tenfold runs show latest
    """
    from tenfold.errors import RunError
    from tenfold.evaluation import summarize
    from tenfold.run import load_run

    found = load_run(run)
    summary = summarize(found)
    if summary.damage:
        raise RunError(summary.damage)
    source, environment, recipe = found.source(), found.environment(), found.recipe()
    if json:
        say_json(
            {
                "run": str(found.path),
                "recipe": recipe.model_dump(),
                "source": source,
                "environment": environment,
                "result": summary.result and summary.result.to_json(),
            }
        )
        return
    _say_summaries([summary])
    sizes = ", ".join(f"{count:,} {name}" for name, count in source["splits"].items())
    computer = environment["machine"]
    say("")
    say(f"source {source['name']} ({source['kind']}): {sizes}")
    say(f"fingerprint {source['fingerprint']}")
    say(f"machine {computer['cpu']}, {computer['cores']} cores, {computer['system']}")
    say(f"precision {environment['precision']}: {environment['precision_reason']}")
    say(", ".join(f"{name} {version}" for name, version in environment["versions"].items()))
    say("")
    say(recipe.to_toml().rstrip())


@app.command()
def report(run: RunArgument = "latest", json: JsonOption = False) -> None:
    """Make a run's report.html again, from the files in its folder alone.

    Example: tenfold runs report latest
    """
    from tenfold.evaluation.report import write_report
    from tenfold.run import load_run

    path = write_report(load_run(run))
    if json:
        say_json({"report": str(path)})
        return
    say(f"report {path}")


@app.command("compare")
def compare_runs(
    run: Annotated[list[str], typer.Argument(metavar="RUN", help="Two runs or more.")],
    json: JsonOption = False,
) -> None:
    """Print what differs between runs, side by side.

    Example: tenfold runs compare runs/a runs/b
    """
    from tenfold.evaluation import compare
    from tenfold.run import load_run

    if len(run) < 2:
        raise typer.BadParameter("two runs or more are compared, and this is one", param_hint="RUN")
    comparison = compare([load_run(path) for path in run])
    summaries = comparison.summaries
    if json:
        say_json(
            {
                "runs": [_values(summary) for summary in summaries],
                "differences": {d.key: d.values for d in comparison.differences},
            }
        )
        return
    settings = [[d.key, *map(_setting, d.values)] for d in comparison.differences]
    states = ["state", *(summary.state for summary in summaries)]
    figures = zip(_FIGURES, *map(_figures, summaries), strict=True)
    columns = ["", *(str(summary.run.path) for summary in summaries)]
    say_table(columns, [*settings, states, *map(list, figures)])


def _say_summaries(summaries: Sequence[Summary]) -> None:
    say_table(
        ["run", "recipe", "state", *_FIGURES],
        [[str(s.run.path), s.recipe, s.state, *_figures(s)] for s in summaries],
        names=3,
    )
    for summary in summaries:
        if summary.damage:
            log(summary.damage, style="yellow")


def _figures(summary: Summary) -> list[str]:
    """A text for each of `_FIGURES`."""
    result = summary.result
    if result is None:
        return [""] * len(_FIGURES)
    low, high = result.test.interval
    return [
        f"{result.test.accuracy:.2%}",
        f"{low:.2%} to {high:.2%}",
        f"{result.seconds:,.1f}",
        f"{result.images_per_second:,.0f}",
        f"{result.peak_memory_bytes / 1e6:,.0f}",
    ]


def _setting(value: Any) -> str:
    return "" if value is None else str(value)


def _values(summary: Summary) -> dict[str, Any]:
    return {
        "run": str(summary.run.path),
        "state": summary.state,
        "recipe": summary.recipe,
        "damage": summary.damage,
        "result": summary.result and summary.result.to_json(),
    }
