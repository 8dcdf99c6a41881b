"""What ``tenfold predict`` does; `tenfold.cli.predict` says how it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.cli._console import log
from tenfold.cli._format import counted, listed
from tenfold.errors import RunError, SourceError, TenfoldError

if TYPE_CHECKING:
    from tenfold.cli._predictions import Writer
    from tenfold.run import Run
    from tenfold.serving.inputs import Skipped
    from tenfold.serving.predictor import Predictor
    from tenfold.serving.stream import Answers

TOP = 3
"""Classes that are given for each picture unless another number is asked for."""


def predict(
    run: str, paths: Sequence[str], *, top: int | None, json: bool, csv: bool, out: Path | None
) -> None:
    """Predict pictures, and print or save what comes of it.

    Args:
        run: a run's folder, or ``latest``.
        paths: what to answer; see `tenfold.serving.inputs.find`.
        top: how many classes to give for each picture; None: `TOP`, or all where there are fewer.
        json: write JSON.
        csv: write CSV.
        out: the file to write to; its suffix chooses what is written where neither is asked for.
            None: standard output.

    Raises:
        TenfoldError: an argument is of no use, or not every picture could be answered.
    """
    if json and csv:
        raise TenfoldError("--json and --csv exclude each other; give one of them")
    found = _find_run(run)
    if not paths:
        raise TenfoldError(
            f"nothing to predict; name pictures, folders or archives: tenfold predict {run} PATH..."
        )
    predictor = _predictor(found)
    top = _check_top(top, len(predictor.class_names))
    form = _form(json, csv, out)

    from tenfold.cli._predictions import opened
    from tenfold.cli._progress import Answering
    from tenfold.machine import usable_cores
    from tenfold.serving import inputs
    from tenfold.serving.stream import answer

    kept, repeated = inputs.without_duplicates(paths)
    if repeated:
        log(f"answered once, though named more than once or by their folder: {listed(repeated)}")
    stream = answer(predictor, inputs.find(kept), top=top, threads=usable_cores())
    hidden = out is not None or not sys.stdout.isatty()
    with (
        closing(stream),
        opened(out, form) as put,
        Answering(lambda: inputs.count(kept), shown=hidden) as progress,
    ):
        tally = _Tally(form(put, str(found.path), predictor.class_names, top))
        for answers in stream:
            tally.add(answers)
            progress.update(tally.count)
        tally.end()
        if out is not None and not tally.answered:
            tally.judge()  # so that no file is left
    if out is not None:
        log(f"saved {out}")
    tally.judge()


class _Tally:
    """Counts what is answered, and names what is not."""

    def __init__(self, writer: Writer) -> None:
        self.answered = self._skipped = 0
        self._held: Skipped | None = None
        self._writer = writer
        writer.begin()

    @property
    def count(self) -> int:
        """Of all, answered or not."""
        return self.answered + self._skipped

    def add(self, answers: Answers) -> None:
        """Write a chunk, and name on stderr what is missing from it."""
        self._writer.answers(answers)
        self.answered += len(answers.names)
        for _, skipped in answers.skipped:
            self._release()
            self._writer.skipped(skipped)
            self._skipped += 1
            self._held = skipped

    def end(self) -> None:
        """Write the rest."""
        self._writer.end()

    def judge(self) -> None:
        """Leave with an error where anything was skipped: one line where there was nothing else.

        Raises:
            SourceError: not everything could be answered.
        """
        if not self._skipped:
            return
        if not self.answered and self._skipped == 1 and self._held is not None:
            raise SourceError("{}: {}".format(*self._held))
        self._release()
        raise SourceError(
            f"{self._skipped:,} of {counted(self.count, 'input')} could not be "
            "answered; the lines above say why"
        )

    def _release(self) -> None:
        """Name what may have been the only thing to be said, and is not."""
        if self._held is not None:
            log("skipped {}: {}".format(*self._held), style="yellow")
            self._held = None


def _find_run(name: str) -> Run:
    from tenfold.run import find_run

    try:
        return find_run(name)
    except RunError:
        if _is_meant_as_input(name):
            raise RunError(
                f"{name} is not a run; give the run first: tenfold predict latest {name}"
            ) from None
        raise


def _is_meant_as_input(name: str) -> bool:
    """Whether what stands in the place of a run is evidently what should be predicted."""
    from tenfold.data.sources._layout import is_picture
    from tenfold.serving import inputs

    first = next(inputs.find([name]), None) if name != inputs.STDIN else None
    return name == inputs.STDIN or is_picture(name) or isinstance(first, inputs.Found)


def _predictor(run: Run) -> Predictor:
    from tenfold.serving.export.ensure import ensure_onnx
    from tenfold.serving.predictor import Predictor

    return Predictor(ensure_onnx(run, log), threads=1)  # for each of the threads that call it


def _check_top(top: int | None, classes: int) -> int:
    if top is None:
        return min(TOP, classes)
    if top > classes:
        raise TenfoldError(
            f"--top {top} is more than the {classes} classes of the model; give at most {classes}"
        )
    return top


def _form(json: bool, csv: bool, out: Path | None) -> type[Writer]:
    from tenfold.cli._predictions import CsvWriter, JsonWriter, TableWriter

    if not (json or csv) and out is not None:
        json, csv = out.suffix.lower() == ".json", out.suffix.lower() == ".csv"
    return JsonWriter if json else CsvWriter if csv else TableWriter
