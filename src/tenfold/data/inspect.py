"""Sample pictures of every class, to see with one's own eyes what a source holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenfold.data import contact_sheet
from tenfold.data.dataset import Dataset, Split

_MOST_CLASSES = 100


def draw_samples(dataset: Dataset, path: Path, per_class: int = 8, seed: int = 0) -> Path:
    """Draw training pictures of every class, a row each under its name and its counts, as a PNG.

    Of more than 100 classes the first 100 are drawn, and the heading says so.

    Args:
        dataset: whose training split the pictures come from.
        path: of the PNG.
        per_class: the most pictures of one class, at least 1; a smaller class shows all it has.
        seed: draws the pictures.

    Returns:
        The path.

    Raises:
        OutputError: the path cannot be written.
    """
    splits = [split for split in (dataset.train, dataset.validation, dataset.test) if len(split)]
    classes = len(dataset.class_names)
    labels = {split.name: split.labels[split.indices] for split in splits}
    counts = {name: np.bincount(of_split, minlength=classes) for name, of_split in labels.items()}

    rows = []
    for label, class_name in enumerate(dataset.class_names[:_MOST_CLASSES]):
        totals = ", ".join(f"{count[label]:,} {name}" for name, count in counts.items())
        positions = np.flatnonzero(labels[dataset.train.name] == label)
        rows.append(
            contact_sheet.Row(
                title=f"{class_name}: {totals}",
                cells=_sample(dataset.train, positions, per_class, seed),
            )
        )
    return contact_sheet.save(path, _heading(dataset, splits), rows)


def _sample(
    split: Split, positions: NDArray[np.int64], most: int, seed: int
) -> list[NDArray[np.uint8]]:
    """Cells of at most ``most`` of a split's pictures at ``positions``, drawn by ``seed``."""
    chosen = np.random.default_rng(seed).permutation(positions)[:most]
    return [contact_sheet.cell(picture) for picture in split.gather(np.sort(chosen))[0]]


def _heading(dataset: Dataset, splits: list[Split]) -> str:
    totals = ", ".join(f"{len(split):,} {split.name}" for split in splits)
    size, classes = f"{dataset.size}x{dataset.size}", len(dataset.class_names)
    heading = f"{dataset.source}\n{classes} classes, pictures of {size}: {totals}"
    if classes > _MOST_CLASSES:
        heading += (
            f"\nThe first {_MOST_CLASSES} classes are shown, {classes - _MOST_CLASSES} are not"
        )
    return heading
