"""How figures and notes read, wherever they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tenfold.cli._console import log

if TYPE_CHECKING:
    from tenfold.data.dataset import Dataset
    from tenfold.evaluation import Evaluation, TimeUsed

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


def budget_used(budget: TimeUsed) -> str:
    """What there was, and what was used of it."""
    from tenfold.training.time_budget import in_words

    return f"time budget {in_words(budget.seconds)}, used {in_words(budget.used)}"


def report_skipped(dataset: Dataset) -> None:
    """Name and count the damaged pictures that are left out, on stderr."""
    if not dataset.skipped:
        return
    names = [f"{name} ({reason})" for name, reason in dataset.skipped]
    log(f"skipped {counted(len(names), 'damaged picture')}: {listed(names)}", style="yellow")


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def report_leaks(dataset: Dataset) -> None:
    """Say loudly, on stderr, that splits share pictures; or how many were left out for it."""
    from tenfold.data.leaks import in_words, known_leaks

    if dataset.dropped:
        parts = [counted(number, f"{name} picture") for name, number in dataset.dropped.items()]
        log(f"left out {' and '.join(parts)} that are duplicates of test or validation pictures")
        return
    leaks = known_leaks(dataset)
    if leaks:
        log(f"LEAK: {in_words(leaks, len(dataset.test))}", style="bold yellow")
