"""Looking at a source: what ``tenfold data info`` does, in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tenfold.api._run import Run
from tenfold.data.dataset import Dataset, Split, open_dataset
from tenfold.data.sources import open_source
from tenfold.errors import SourceError

if TYPE_CHECKING:
    from tenfold.data.report import DataReport, Suspicion

_BATCH = 256


def inspect_data(
    source: str | Path = "digits",
    *,
    run: Run | None = None,
    mirror: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    download_progress: Callable[[int, int | None], None] | None = None,
    search_progress: Callable[[int, int | None], None] | None = None,
) -> DataReport:
    """Say what a source holds and what is wrong with it, however much of it is damaged.

    Splits are those of the run's training where it was trained on this source, else those that a
    training with default settings would draw.

    Args:
        source: a name or a path.
        run: whose model is asked which labels look wrong.
        mirror: where to download a named source from instead of the official site.
        progress: told how many pictures are decoded, and of how many.
        download_progress: told how many bytes are downloaded, and of how many.
        search_progress: told how many pairs of pictures are compared, and of how many.

    Raises:
        SourceError: the source cannot be read, none of its pictures can be decoded, or it has a
            class that the run's model does not know.
        RunError: the run has no model, or is damaged.
    """
    from tenfold.data.report import collect

    opened = open_source(source, mirror=mirror, progress=download_progress)
    options: dict[str, Any] = {}
    own = False
    if run is not None:
        options["size"] = run.preprocessing()["size"]
        facts = run.source()
        own = opened.fingerprint() == facts["fingerprint"] and bool(facts["options"])
        if own:
            drawn_by = ("validation", "test", "seed")
            options |= {key: facts["options"][key] for key in drawn_by if key in facts["options"]}
    dataset = open_dataset(opened, **options, most_skipped=1.0, progress=progress)
    suspicion = None if run is None else _suspicion(run, dataset, own)
    return collect(dataset, suspicion=suspicion, search_progress=search_progress)


def _suspicion(run: Run, dataset: Dataset, own: bool) -> Suspicion:
    from tenfold.data.report import Suspicion, suspects

    classes = tuple(run.preprocessing()["class_names"])
    unknown = [name for name in dataset.class_names if name not in classes]
    if unknown:
        raise SourceError(
            f"class '{unknown[0]}' of {dataset.source} is not one that the model of {run.path} "
            f"knows: {', '.join(classes[:12])}"
        )
    columns = np.array([classes.index(name) for name in dataset.class_names])
    predict = run._predict(tta=False)

    def predicted(split: Split) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        for pixels, labels in split.batches(_BATCH):
            yield labels, predict(pixels)[:, columns]

    return Suspicion(
        run=str(run.path),
        calibrated=run.calibration_path.is_file(),
        splits=tuple(
            suspects(
                split.name,
                split.indices,
                predicted(split),
                len(columns),
                seen=own and split.name == "train",
            )
            for split in (dataset.test, dataset.validation, dataset.train)
            if len(split)
        ),
    )
