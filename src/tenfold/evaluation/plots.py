"""Pictures of a training and of its result."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.evaluation.metrics import Evaluation
from tenfold.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart in every common form of colour blindness.
_TRAIN = "#0072B2"
_VALIDATION = "#D55E00"
_TEST = "#009E73"

# Names are given with parse_math=False throughout: a class called "$5 or $10" is not a formula.

# Up to so many classes, a confusion matrix has room for its numbers, and for its names.
_ROOM_FOR_NUMBERS = 20
_ROOM_FOR_NAMES = 100


def draw_curves(
    metrics: Sequence[Mapping[str, Any]],
    path: Path,
    *,
    title: str,
    test: Evaluation | None = None,
) -> None:
    """Draw loss and accuracy over the epochs as a PNG.

    Args:
        metrics: the records of a run, as `Run.metrics` gives them; docs/runs.md has their keys.
            Values that are not finite leave gaps.
        path: where the picture goes.
        title: what was trained, as in ``lab-2 on cifar10``.
        test: the final test result; drawn with its interval, at the last epoch.

    Raises:
        OutputError: ``path`` cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    steps = [record for record in metrics if record["event"] == "step"]
    epochs = [record for record in metrics if record["event"] == "epoch"]

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    figure.suptitle(title, parse_math=False)
    loss, accuracy = figure.subplots(1, 2)
    for axes, key in ((loss, "loss"), (accuracy, "accuracy")):
        _line(axes, steps, key, color=_TRAIN, alpha=0.3, linewidth=0.8, label="train, by step")
        _line(axes, epochs, key, color=_TRAIN, marker="o", label="train")
        _line(axes, epochs, f"validation_{key}", color=_VALIDATION, marker="s", label="validation")
        axes.set_xlabel("epoch")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    if test is not None:
        last = epochs[-1]["epoch"] if epochs else 0
        _mark_test(loss, accuracy, test, last)
    loss.set_ylabel("cross-entropy, nats")
    accuracy.set_ylabel("accuracy")
    accuracy.yaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    for axes in (loss, accuracy):
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
        else:
            axes.text(0.5, 0.5, "no finite values", ha="center", transform=axes.transAxes)
    _use_log_scale_where_needed(loss)
    _save(figure, path)


def draw_confusion(evaluation: Evaluation, path: Path, *, title: str) -> None:
    """Draw a confusion matrix as a PNG: rows are true classes, columns predicted ones.

    Colours show the share of each true class, so that rare classes are as readable as common ones;
    the numbers, where there is room for them, are pictures. Of more than 100 classes the names are
    left out.

    Args:
        evaluation: what to draw.
        path: where the picture goes.
        title: what was evaluated.

    Raises:
        OutputError: ``path`` cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    classes = len(evaluation.class_names)
    shares = [
        [count / max(1, total) for count in row]
        for row, total in zip(evaluation.confusion, evaluation.class_counts, strict=True)
    ]
    side = min(14.0, 3.5 + 0.5 * classes)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="cividis", vmin=0.0, vmax=1.0)
    low, high = evaluation.interval
    axes.set_title(
        f"{title}\naccuracy {evaluation.accuracy:.1%} (95%: {low:.1%} to {high:.1%})",
        parse_math=False,
    )
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    font_size = 9 if classes <= _ROOM_FOR_NUMBERS else 5
    names = list(evaluation.class_names)
    if classes <= _ROOM_FOR_NAMES:
        axes.set_xticks(range(classes), names, rotation=90, fontsize=font_size, parse_math=False)
        axes.set_yticks(range(classes), names, fontsize=font_size, parse_math=False)
    if classes <= _ROOM_FOR_NUMBERS:
        for row, counts in enumerate(evaluation.confusion):
            for column, count in enumerate(counts):
                color = "black" if shares[row][column] > 0.5 else "white"
                axes.text(
                    column, row, f"{count}", ha="center", va="center", color=color, fontsize=8
                )
    figure.colorbar(
        image, ax=axes, shrink=0.8, format=PercentFormatter(xmax=1.0), label="of the true class"
    )
    _save(figure, path)


def _line(axes: Axes, records: Sequence[Mapping[str, Any]], key: str, **style: Any) -> None:
    """Draw one curve, with a gap wherever a value is not finite; none at all if all are so."""
    points = [(float(record["epoch"]), float(record[key])) for record in records if key in record]
    values = [value if math.isfinite(value) else math.nan for _, value in points]
    if not all(map(math.isnan, values)):
        axes.plot([epoch for epoch, _ in points], values, **style)


def _mark_test(loss: Axes, accuracy: Axes, test: Evaluation, epoch: float) -> None:
    low, high = test.interval
    accuracy.errorbar(
        [epoch],
        [test.accuracy],
        yerr=[[test.accuracy - low], [high - test.accuracy]],
        color=_TEST,
        marker="*",
        markersize=12,
        capsize=5,
        linestyle="none",
        zorder=3,
        label=f"test: {test.accuracy:.1%} (95%: {low:.1%} to {high:.1%})",
    )
    if math.isfinite(test.loss):
        loss.plot(
            [epoch],
            [test.loss],
            color=_TEST,
            marker="*",
            markersize=12,
            linestyle="none",
            zorder=3,
            label=f"test: {test.loss:.3f}",
        )


def _use_log_scale_where_needed(axes: Axes) -> None:
    """A loss that explodes would flatten everything else on a linear scale."""
    import numpy as np

    values = np.array([value for line in axes.get_lines() for value in np.ravel(line.get_ydata())])
    positive = values[values > 0]
    if positive.size and positive.max() > 100 * positive.min():
        axes.set_yscale("log")


def _save(figure: Figure, path: Path) -> None:
    with warnings.catch_warnings(), atomic_path(path) as temporary:
        # A name in a script that the font lacks is drawn as boxes; that is no one's mistake.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(temporary, format="png", dpi=120)
