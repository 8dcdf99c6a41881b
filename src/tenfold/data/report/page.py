"""The data report as a page: one file that shows what was found, leaks first."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data.report.facts import DataReport, Group
from tenfold.data.report.size_chart import HEIGHT, WIDTH, size_chart
from tenfold.data.report.suspicion import Suspects
from tenfold.data.rows import RowReader
from tenfold.files import atomic_write_text
from tenfold.pages import data_uri, render

MOST_GROUPS = 48
"""Groups of duplicates shown of each sort; a page has room for no more."""
MOST_MEMBERS = 6
MOST_SUSPECTS = 36
MOST_BROKEN = 500
_MOST_CLASSES = 200
_SAMPLES = 8
_UNBALANCED = 3.0

SPLIT_WORDS = {"train": "training", "validation": "validation", "test": "test", "none": "unused"}


@dataclass(frozen=True)
class _Picture:
    source: str
    name: str
    split: str
    label: str
    exact: bool


@dataclass(frozen=True)
class _Shown:
    """A group of duplicates as the page shows it."""

    title: str
    pictures: tuple[_Picture, ...]
    more: int


@dataclass(frozen=True)
class _ClassRow:
    name: str
    counts: tuple[int, ...]
    total: int
    bars: tuple[tuple[str, float, float], ...]
    """Split, where its part of the bar begins and how wide it is, in percent."""
    samples: tuple[str, ...]


def write_page(report: DataReport, path: Path) -> Path:
    """Write the page.

    Args:
        report: what it shows.
        path: of the HTML file.

    Returns:
        The path.

    Raises:
        OutputError: the path cannot be written.
    """
    atomic_write_text(path, render("tenfold.data.report", "data.html", _Page(report).values()))
    return path


class _Page:
    def __init__(self, report: DataReport) -> None:
        self._report = report
        self._reader = RowReader(report.store.images)

    def values(self) -> dict[str, Any]:
        """What the template shows, by name."""
        report = self._report
        dataset = report.dataset
        leaking = [group for group in report.groups if group.leaks]
        conflicts = [group for group in report.groups if group.conflict and not group.leaks]
        others = [group for group in report.groups if not (group.leaks or group.conflict)]
        smallest, largest = (
            dataset.class_names[int(choose(report.counts["train"]))]
            for choose in (np.argmin, np.argmax)
        )
        return {
            "title": Path(dataset.source).name or dataset.source,
            "dataset": dataset,
            "quoted": shlex.quote(dataset.source),
            "quoted_run": "" if report.suspicion is None else shlex.quote(report.suspicion.run),
            "report": report,
            "leaks": report.leaks,
            "leaking": [self._group(group) for group in leaking[:MOST_GROUPS]],
            "leaking_total": len(leaking),
            "conflicts": [self._group(group) for group in conflicts[:MOST_GROUPS]],
            "conflicts_total": len(conflicts),
            "conflicting": sum(group.conflict for group in report.groups),
            "others": [self._group(group) for group in others[:MOST_GROUPS]],
            "others_total": len(others),
            "equal": len(report.duplicates.exact_copies),
            "share_near": _share_near(report),
            "small": report.total - report.duplicates.compared,
            "classes": self._classes(),
            "classes_left_out": max(0, len(dataset.class_names) - _MOST_CLASSES),
            "unbalanced": report.imbalance >= _UNBALANCED,
            "smallest": smallest,
            "largest": largest,
            "splits": [
                (name, SPLIT_WORDS[name], int(c.sum())) for name, c in report.counts.items()
            ],
            "chart": size_chart(report.sizes),
            "chart_size": (WIDTH, HEIGHT),
            "broken": dataset.skipped[:MOST_BROKEN],
            "broken_total": len(dataset.skipped),
            "broken_share": len(dataset.skipped) / (report.total + len(dataset.skipped)),
            "suspects": self._suspects(),
        }

    def _pixels(self, positions: Sequence[int] | NDArray[np.int64]) -> list[str]:
        pictures = self._reader.read(np.asarray(positions, np.int64))
        return [data_uri(picture) for picture in pictures]

    def _group(self, group: Group) -> _Shown:
        names = self._report.dataset.class_names
        members = list(self._report.members(group, MOST_MEMBERS))
        sources = self._pixels([member.position for member in members])
        splits = dict.fromkeys(SPLIT_WORDS[member.split] for member in members)
        kind = "equal in every pixel" if group.exact else "one photograph, changed"
        where = f"in {_and(list(splits))}" if len(splits) > 1 else f"in {next(iter(splits))}"
        labels = ", labelled differently" if group.conflict else ""
        return _Shown(
            title=f"{kind[:1].upper()}{kind[1:]}, {where}{labels}",
            pictures=tuple(
                _Picture(source, member.name, member.split, names[member.label], member.exact)
                for source, member in zip(sources, members, strict=True)
            ),
            more=len(group.positions) - len(members),
        )

    def _classes(self) -> list[_ClassRow]:
        report = self._report
        largest = max(1, int(sum(report.counts.values()).max()))  # type: ignore[union-attr]
        labels = report.dataset.train.labels[report.dataset.train.indices]
        rows = []
        for label, name in enumerate(report.dataset.class_names[:_MOST_CLASSES]):
            counts = {split: int(count[label]) for split, count in report.counts.items()}
            bars, begin = [], 0.0
            for split, count in counts.items():
                width = 100 * count / largest
                bars.append((split, round(begin, 3), round(width, 3)))
                begin += width
            own = np.flatnonzero(labels == label)
            chosen = own[np.linspace(0, len(own) - 1, min(_SAMPLES, len(own))).astype(np.int64)]
            rows.append(
                _ClassRow(
                    name=name,
                    counts=tuple(counts.values()),
                    total=sum(counts.values()),
                    bars=tuple(bars),
                    samples=tuple(self._pixels(report.dataset.train.indices[chosen])),
                )
            )
        return rows

    def _suspects(self) -> list[dict[str, Any]]:
        if self._report.suspicion is None:
            return []
        return [self._accused(part) for part in self._report.suspicion.splits]

    def _accused(self, part: Suspects) -> dict[str, Any]:
        accusations = list(self._report.accusations(part, MOST_SUSPECTS))
        sources = self._pixels([accusation.position for accusation in accusations])
        return {
            "split": SPLIT_WORDS[part.split],
            "seen": part.seen,
            "pictures": part.pictures,
            "total": len(part),
            "shown": list(zip(sources, accusations, strict=True)),
        }


def _share_near(report: DataReport) -> float:
    """Share of the pictures that have a changed copy."""
    return len(np.unique(report.duplicates.near)) / report.total


def _and(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
