"""How figures and notes read, wherever they are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenfold.cli._console import log

if TYPE_CHECKING:
    from tenfold.data.dataset import Dataset
    from tenfold.evaluation import Evaluation

_MOST_NAMED = 5


def accuracy_with_interval(evaluation: Evaluation) -> str:
    """The share of hits, its 95% interval, and of how many pictures."""
    low, high = evaluation.interval
    return (
        f"{evaluation.accuracy:.2%}, 95% interval {low:.2%} to {high:.2%} "
        f"({evaluation.correct:,} of {evaluation.count:,} pictures)"
    )


def counted(number: int, noun: str) -> str:
    """As in 1 epoch, 1,500 steps."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def report_skipped(dataset: Dataset) -> None:
    """Name and count the damaged pictures that are left out, on stderr."""
    if not dataset.skipped:
        return
    count, named = len(dataset.skipped), dataset.skipped[:_MOST_NAMED]
    log(
        f"skipped {counted(count, 'damaged picture')}: "
        + ", ".join(f"{name} ({reason})" for name, reason in named)
        + (f" and {count - len(named):,} more" if count > len(named) else ""),
        style="yellow",
    )
