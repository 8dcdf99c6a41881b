"""What a training leaves for people, once its result is safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tenfold.data.dataset import Dataset, Split
from tenfold.errors import TenfoldError
from tenfold.evaluation.collect import DetailCollector
from tenfold.evaluation.details import Augmented, save_details, with_pictures
from tenfold.evaluation.metrics import Evaluation
from tenfold.evaluation.plots import draw_confusion
from tenfold.evaluation.report.page import write_report
from tenfold.pages import data_uri
from tenfold.recipe import Recipe
from tenfold.run import Run

_SAMPLES, _EPOCHS = 6, 5
"""Training pictures that are shown augmented, and in how many epochs each."""

_CANDIDATES = 1000
"""Training pictures that they are chosen among."""


def leave_report(
    run: Run,
    dataset: Dataset,
    test: Evaluation,
    collector: DetailCollector,
    *,
    title: str,
    warn: Callable[[str], None],
    findings: tuple[str, ...] = (),
) -> None:
    """Write ``details.json``, ``confusion.png`` and ``report.html``.

    The run is finished before: what goes wrong here, such as a full disk, is told and costs nothing
    else.

    Args:
        run: finished.
        dataset: that it was trained and tested on.
        test: the evaluation that ``collector`` watched.
        collector: has seen the test split.
        title: what was trained, as in ``lab-2 on cifar10``.
        warn: told in one line of what went wrong.
        findings: see `tenfold.evaluation.details.Details`.
    """
    try:
        details = collector.details(test)
        save_details(
            run,
            replace(
                details,
                mistakes=with_pictures(details.mistakes, dataset.test),
                confused=with_pictures(details.confused, dataset.test),
                augmented=_augmented(dataset, run.recipe()),
                findings=findings,
            ),
        )
        draw_confusion(test, run.confusion_path, title=title)
        write_report(run)
    except TenfoldError as error:
        warn(f"there is no report: {error}; then make it with: tenfold runs report {run.path}")


def _augmented(dataset: Dataset, recipe: Recipe) -> tuple[Augmented, ...]:
    """Training pictures as the first epochs saw them; none where they were left as they are."""
    from tenfold.augment import build
    from tenfold.augment.draw import in_epochs

    if build(recipe.augmentation) is None:
        return ()
    positions = _of_different_classes(dataset.train, recipe.seed)
    pixels, labels = dataset.train.gather(positions)
    seen = in_epochs(pixels, recipe.augmentation, recipe.seed, epochs=_EPOCHS, ids=positions)
    return tuple(
        Augmented(int(label), tuple(map(data_uri, (picture, *seen[:, at]))))
        for at, (picture, label) in enumerate(zip(pixels, labels, strict=True))
    )


def _of_different_classes(split: Split, seed: int) -> NDArray[np.int64]:
    """Positions of a few pictures, drawn by seed, of as many classes as can be."""
    count = min(_CANDIDATES, len(split))
    drawn = np.sort(np.random.default_rng(seed).choice(len(split), count, replace=False))
    labels = split.labels[split.indices[drawn]]
    _, first = np.unique(labels, return_index=True)
    others = np.setdiff1d(np.arange(count), first)
    return np.sort(drawn[np.concatenate([np.sort(first), others])[:_SAMPLES]])
