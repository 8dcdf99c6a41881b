"""``tenfold data info`` in lines: short enough to read, the gravest first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tenfold.cli._console import say, say_table
from tenfold.cli._format import counted
from tenfold.data.leaks import in_words

if TYPE_CHECKING:
    from tenfold.data.report import DataReport

_MOST = 5
"""Entries of a list that are printed."""


def say_report(report: DataReport) -> None:
    """Print a data report on stdout."""
    dataset = report.dataset
    say(f"{dataset.source}: {dataset.kind}, fingerprint {dataset.fingerprint[:12]}")
    classes = len(dataset.class_names)
    for split in (dataset.train, dataset.validation, dataset.test):
        shape = (len(split), dataset.size, dataset.size, 3)
        say(f"{split.name}: pictures {shape}, labels {(len(split), classes)} one-hot")
    say(f"originals: {_originals(report)}")
    say(f"formats: {', '.join(f'{n:,} {name}' for name, n in report.formats.items())}")
    say("")
    counts = report.counts
    rows = zip(dataset.class_names, *counts.values(), strict=True)
    say_table(["class", *counts], [[name, *(f"{n:,}" for n in numbers)] for name, *numbers in rows])
    say("")
    _say_broken(report)
    _say_duplicates(report)
    _say_suspects(report)


def _originals(report: DataReport) -> str:
    sizes = report.sizes
    if sizes.distinct == 1:
        return f"all {sizes.width[1]}x{sizes.height[1]}"
    parts = [
        f"{counted(sizes.distinct, 'size')} from {sizes.width[0]}x{sizes.height[0]} to "
        f"{sizes.width[2]}x{sizes.height[2]}, median {sizes.width[1]}x{sizes.height[1]}"
    ]
    if sizes.cropped:
        parts.append(f"{sizes.cropped:,} not square")
    if sizes.enlarged:
        parts.append(f"{sizes.enlarged:,} smaller than {report.dataset.size}")
    return "; ".join(parts)


def _say_broken(report: DataReport) -> None:
    skipped = report.dataset.skipped
    if not skipped:
        say("broken files: none")
        return
    share = len(skipped) / (report.total + len(skipped))
    refused = "; above 1% a source is not trained on" if share > 0.01 else ""
    say(f"broken files: {len(skipped):,} ({share:.1%}){refused}", style="yellow")
    _say_some((f"{name}: {reason}" for name, reason in skipped), len(skipped))


def _say_duplicates(report: DataReport) -> None:
    duplicates, groups = report.duplicates, report.groups
    small = report.total - duplicates.compared
    note = f"; {small:,} pictures are too small to be compared" if small else ""
    say(
        f"duplicates: {counted(len(duplicates.exact_copies), 'equal picture')}, "
        f"{counted(len(duplicates.near), 'pair')} of changed copies, in "
        f"{counted(len(groups), 'group')}{note}"
    )
    conflicts = [group for group in groups if group.conflict]
    if conflicts:
        say(f"{counted(len(conflicts), 'group')} with different labels:", style="yellow")
        _say_some(
            (_members(report, at) for at, g in enumerate(groups) if g.conflict), len(conflicts)
        )
    leaking = [at for at, group in enumerate(groups) if group.leaks]
    if leaking:
        say(f"LEAK: {in_words(report.leaks, len(report.dataset.test))}", style="bold yellow")
        _say_some((_members(report, at) for at in leaking), len(leaking))
    else:
        say("leaks between splits: none")


def _members(report: DataReport, at: int) -> str:
    """The first pictures of a group, by name."""
    group = report.groups[at]
    members = list(report.members(group, 3))
    names = report.dataset.class_names
    more = len(group.positions) - len(members)
    return ", ".join(
        f"{member.name} ({member.split}{f', {names[member.label]}' * group.conflict})"
        for member in members
    ) + (f" and {more:,} more" if more else "")


def _say_suspects(report: DataReport) -> None:
    if report.suspicion is None:
        return
    for part in report.suspicion.splits:
        trained = ", which the model was trained on" * part.seen
        say(f"suspicious labels of {part.split}{trained}: {len(part):,} of {part.pictures:,}")
        _say_some(
            (
                f"{one.name}: {one.label} {one.label_confidence:.1%}, but {one.predicted} "
                f"{one.confidence:.1%}"
                for one in report.accusations(part, _MOST)
            ),
            len(part),
        )


def _say_some(lines: Iterable[str], total: int) -> None:
    for _, line in zip(range(_MOST), lines, strict=False):
        say(f"  {line}")
    if total > _MOST:
        say(f"  and {total - _MOST:,} more: --html shows them, --json names them")
