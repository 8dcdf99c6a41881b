"""A data report as one JSON object."""

from __future__ import annotations

from typing import Any

from tenfold.data.report.facts import DataReport, Group, Sizes
from tenfold.data.report.suspicion import Suspects

MOST_LISTED = 1000
"""Entries of a list: beside each list stands how many there are in all."""


def as_json(report: DataReport) -> dict[str, Any]:
    """All that a report says; long lists are cut, beside how long they are."""
    dataset, leaks, duplicates = report.dataset, report.leaks, report.duplicates
    return {
        "source": dataset.source,
        "kind": dataset.kind,
        "fingerprint": dataset.fingerprint,
        "size": dataset.size,
        "pictures": report.total,
        "class_names": dataset.class_names,
        "counts": {name: count.tolist() for name, count in report.counts.items()},
        "imbalance": report.imbalance,
        "sizes": _sizes(report.sizes),
        "formats": report.formats,
        "skipped": dataset.skipped[:MOST_LISTED],
        "skipped_total": len(dataset.skipped),
        "leaks": {
            "test_pictures_in_train": leaks.test,
            "train_pictures_in_test": leaks.train_in_test,
            "validation_pictures_in_test": leaks.validation_in_test,
            "train_pictures_in_validation": leaks.train_in_validation,
        },
        "duplicates": {
            "equal_pictures": len(duplicates.exact_copies),
            "near_pairs": len(duplicates.near),
            "compared": duplicates.compared,
            "leaking_groups": sum(group.leaks for group in report.groups),
            "conflicting_groups": sum(group.conflict for group in report.groups),
            "groups_total": len(report.groups),
            "groups": [_group(report, group) for group in report.groups[:MOST_LISTED]],
        },
        "suspicious": None
        if report.suspicion is None
        else {
            "run": report.suspicion.run,
            "calibrated": report.suspicion.calibrated,
            "splits": [_suspects(report, part) for part in report.suspicion.splits],
        },
    }


def _sizes(sizes: Sizes) -> dict[str, Any]:
    words = ("least", "median", "largest")
    return {
        "distinct": sizes.distinct,
        "width": dict(zip(words, sizes.width, strict=True)),
        "height": dict(zip(words, sizes.height, strict=True)),
        "enlarged": sizes.enlarged,
        "cropped": sizes.cropped,
        "common": [
            {"width": width, "height": height, "pictures": count}
            for width, height, count in sizes.common[:MOST_LISTED]
        ],
    }


def _group(report: DataReport, group: Group) -> dict[str, Any]:
    names = report.dataset.class_names
    return {
        "leaks": group.leaks,
        "conflict": group.conflict,
        "exact": group.exact,
        "pictures_total": len(group.positions),
        "pictures": [
            {"name": member.name, "split": member.split, "label": names[member.label]}
            for member in report.members(group, MOST_LISTED)
        ],
    }


def _suspects(report: DataReport, part: Suspects) -> dict[str, Any]:
    return {
        "split": part.split,
        "trained_on": part.seen,
        "pictures": part.pictures,
        "total": len(part),
        "labels": [
            {
                "name": accusation.name,
                "label": accusation.label,
                "predicted": accusation.predicted,
                "confidence": accusation.confidence,
                "label_confidence": accusation.label_confidence,
            }
            for accusation in report.accusations(part, MOST_LISTED)
        ],
    }
