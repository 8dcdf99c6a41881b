"""Exporting a run's model: the pictures that an export is made with and checked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data.dataset import Dataset
from tenfold.errors import RunError, TenfoldError
from tenfold.serving.export.check import Batches, Check, Predict, compare
from tenfold.serving.export.facts import Facts
from tenfold.serving.export.write import Format, default_path, refuse_foreign, write_checked
from tenfold.suggestions import did_you_mean

if TYPE_CHECKING:
    from tenfold.api._run import Run

_REPRESENTATIVE = 300
"""Training pictures whose values decide the ranges of int8. TensorFlow's guide names 100 to 500."""
_NOISE = 256
_BATCH, _BATCH_PIXELS = 256, 2**18
"""Pictures that are compared at a time, and pixels: they bound memory whatever the size."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An export, and how it compares with the model that it was made from.

    Attributes:
        path: the file, or the folder of a SavedModel.
        format: which.
        int8: whether it computes in int8.
        check: the comparison, on the run's test split where that is at hand.
    """

    path: Path
    format: Format
    int8: bool
    check: Check

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "path": str(self.path),
            "format": self.format,
            "int8": self.int8,
            **self.check.to_json(),
        }


def export(
    run: Run,
    format_: Format,
    out: str | Path | None,
    *,
    int8: bool,
    dataset: Dataset | None,
    progress: Callable[[int, int | None], None] | None,
    checked: Callable[[int, int | None], None] | None,
) -> Exported:
    """What `Run.export` does."""
    if int8 and format_ != "litert":
        raise TenfoldError(f"int8 is for litert, and {format_} stays in float32; leave it out")
    path = Path(out) if out is not None else default_path(run, format_, int8=int8)
    saved, facts = run.saved_model(), Facts.of(run)
    refuse_foreign(path, format_)  # before seconds are spent
    reason = None
    if dataset is None:
        try:
            dataset = run.dataset(progress=progress)
        except TenfoldError as error:
            reason = str(error)
    if int8 and dataset is None:
        raise RunError(f"int8 needs pictures of the training split, and {reason}")

    from tenfold.data.normalization import Normalization
    from tenfold.models.predict import load_network, logits_function
    from tenfold.serving.export.twin import in_float32

    network = load_network(saved, size=facts.size, classes=len(facts.class_names))
    logits = logits_function(in_float32(network), Normalization(facts.offset, facts.scale).apply)
    count = len(dataset.test) if dataset is not None else _NOISE

    def check(predict: Predict, size: int) -> Check:
        return compare(
            logits,
            facts.temperature,
            predict,
            _batches(dataset, facts.size),
            sizes=(saved.stat().st_size, size),
            reason=reason,
            progress=None if checked is None else lambda done: checked(done, count),
        )

    check_ = write_checked(
        network,
        facts,
        format_,
        path,
        representative=_representative(dataset) if int8 and dataset is not None else None,
        check=check,
    )
    return Exported(path=path, format=format_, int8=int8, check=check_)


def parse_format(text: str) -> Format:
    """The format that a text names.

    Raises:
        TenfoldError: there is none of that name.
    """
    from tenfold.serving.export.write import FORMATS

    for format_ in FORMATS:
        if text == format_:
            return format_
    hint = " (did you mean 'litert'?)" if text in _ONCE_LITERT else did_you_mean(text, FORMATS)
    raise TenfoldError(f"there is no format called '{text}'{hint}; there are {', '.join(FORMATS)}")


_ONCE_LITERT = ("tflite", "tf-lite", "lite")
"""What LiteRT was called until 2024."""


def _representative(dataset: Dataset) -> list[NDArray[np.uint8]]:
    """Single pictures of the training split, always the same ones."""
    count = len(dataset.train)
    drawn = np.random.default_rng(0).permutation(count)[:_REPRESENTATIVE]
    return [dataset.train.gather(drawn[i : i + 1])[0] for i in range(len(drawn))]


def _batches(dataset: Dataset | None, size: int) -> Batches:
    """The test split in batches; noise where there is none, so that something is compared."""
    if dataset is not None:
        return dataset.test.batches(max(1, min(_BATCH, _BATCH_PIXELS // size**2)))
    return _noise(size)


def _noise(size: int) -> Iterator[tuple[NDArray[np.uint8], None]]:
    random = np.random.default_rng(0)
    for _ in range(0, _NOISE, 32):
        yield random.integers(0, 256, (32, size, size, 3), np.uint8), None
