"""What can be done with a finished run, in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tenfold import run as folder
from tenfold.api._export import Exported, export, parse_format
from tenfold.data.dataset import Dataset, Split, open_dataset, open_for_test
from tenfold.data.sources import open_source
from tenfold.data.sources.base import Source
from tenfold.errors import RunError, SourceError
from tenfold.evaluation import Evaluation, evaluate_probabilities
from tenfold.machine import usable_cores
from tenfold.serving.export.ensure import ensure_onnx
from tenfold.serving.export.write import Format

if TYPE_CHECKING:
    from tenfold.models.predict import Predict
    from tenfold.serving.stream import Prediction

_BATCH = 256
"""Pictures that are predicted at a time: it bounds memory, whatever their number."""


class Run(folder.Run):
    """A run folder, and what can be done with the model in it."""

    def evaluate(
        self,
        on: str | Path | Dataset | None = None,
        *,
        tta: bool = False,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Evaluation:
        """Evaluate the run's model on pictures that it never trained on.

        Args:
            on: another source, or a dataset. Its test split is what counts; a source without one
                counts whole. None, or the run's own source: the run's own test split.
            tta: average the probabilities of each picture, its mirror image, and both moved by a
                pixel either way.
            progress: told how far the decoding of a new source is.

        Raises:
            RunError: the run has no model, is damaged, or its source has changed since.
            SourceError: the source cannot be read, or has a class that the model does not know.
        """
        classes = tuple(self.preprocessing()["class_names"])
        split, names = self._split_to_evaluate(on, progress)
        unknown = [name for name in names if name not in classes]
        if unknown:
            raise SourceError(
                f"class '{unknown[0]}' of {on or self.source()['name']} is not one that the model "
                f"of {self.path} knows: {', '.join(classes[:12])}"
            )
        label_map = np.array([classes.index(name) for name in names])
        predict = self._predict(tta)
        return evaluate_probabilities(
            ((label_map[labels], predict(pixels)) for pixels, labels in split.batches(_BATCH)),
            classes,
        )

    def predict(self, images: NDArray[np.uint8], *, tta: bool = False) -> NDArray[np.float32]:
        """Class probabilities of pictures, calibrated; see `tenfold.evaluation.calibration`.

        Args:
            images: uint8 (N, H, W, 3), already of the size that the model takes.
            tta: average over six views of each picture, as `evaluate` does.

        Returns:
            float32 (N, classes), in the order of the run's class names.

        Raises:
            RunError: the run has no model, or is damaged.
            ValueError: the images have another shape or type.
        """
        size = self.preprocessing()["size"]
        if images.dtype != np.uint8 or images.shape[1:] != (size, size, 3):
            raise ValueError(
                f"images must be uint8 of shape (N, {size}, {size}, 3). "
                f"Received: {images.dtype} of shape {images.shape}"
            )
        predict = self._predict(tta)
        parts = [predict(images[at : at + _BATCH]) for at in range(0, len(images), _BATCH)]
        classes = len(self.preprocessing()["class_names"])
        return np.concatenate(parts) if parts else np.empty((0, classes), np.float32)

    def predict_files(
        self, paths: str | Path | Iterable[str | Path], *, top: int | None = None
    ) -> Iterator[Prediction]:
        """Predict picture files as they come, without TensorFlow: what ``tenfold predict`` does.

        Memory does not grow with their number, so a folder of a million is as good as one file::

            for prediction in run.predict_files(["photos/", "more.zip"], top=1):
                print(prediction.path, prediction.top or prediction.problem)

        Args:
            paths: of pictures, folders, archives or patterns, or several; see
                `tenfold.serving.inputs.find`.
            top: how many classes to give for each; None: all.

        Yields:
            A prediction for each picture, in order; and for each path that leads to none.

        Raises:
            RunError: the run has no model, or is damaged.
            ValueError: ``top`` is below 1, or more than there are classes.
        """
        from tenfold.serving.inputs import find
        from tenfold.serving.predictor import Predictor
        from tenfold.serving.stream import answer, one_by_one

        model = Predictor(self.ensure_onnx(), threads=1)
        classes = len(model.class_names)
        if top is not None and not 1 <= top <= classes:
            raise ValueError(
                f"top must be from 1 to {classes}, as many as classes. Received: {top}"
            )
        listed = [paths] if isinstance(paths, str | Path) else paths
        stream = answer(model, find(map(str, listed)), top=top or classes, threads=usable_cores())
        return one_by_one(stream, model.class_names)

    def dataset(self, *, progress: Callable[[int, int | None], None] | None = None) -> Dataset:
        """The dataset that the run was trained on, its splits drawn again as they were.

        Args:
            progress: told how far the decoding is, where the store is gone.

        Raises:
            RunError: the source has changed since, or the splits were made by hand.
            SourceError: the source cannot be read.
        """
        return self._own_dataset(
            open_source(self.source()["name"]),
            progress,
            if_changed="put it back as it was, or train again",
            if_by_hand="pass the dataset itself",
        )

    def ensure_onnx(self, announce: Callable[[str], None] | None = None) -> Path:
        """The path of the run's `model.onnx`; see `tenfold.serving.export.ensure`."""
        return ensure_onnx(self, announce)

    def export(
        self,
        format: Format = "onnx",
        out: str | Path | None = None,
        *,
        int8: bool = False,
        dataset: Dataset | None = None,
        progress: Callable[[int, int | None], None] | None = None,
        checked: Callable[[int, int | None], None] | None = None,
    ) -> Exported:
        """Write the run's model in another format, and check it against the Keras model.

        From pixels, uint8 (N, size, size, 3), to calibrated probabilities, float32 (N, classes);
        docs/export.md describes each format. It is compared on the run's test split, or, where
        that is not at hand, on noise, which `Check.reason` then explains.

        Args:
            format: ``onnx``, ``litert`` or ``savedmodel``.
            out: the file, or folder for a SavedModel; None: a name in the run's folder. An earlier
                export to the same format is replaced, and nothing else.
            int8: quantize to int8, with the ranges of training pictures; for ``litert`` only.
            dataset: what to take pictures from; None: the run's own.
            progress: told how far the decoding of the source is.
            checked: told how many pictures are compared, and of how many.

        Raises:
            RunError: the run has no model, or is damaged; a float32 export differs from the model.
            OutputError: the place takes no files, or holds something else.
            TenfoldError: there is no such format; int8 is asked of another than ``litert``.
        """
        return export(
            self,
            parse_format(format),
            out,
            int8=int8,
            dataset=dataset,
            progress=progress,
            checked=checked,
        )

    def _own_dataset(
        self,
        source: Source,
        progress: Callable[[int, int | None], None] | None,
        *,
        if_changed: str = "name the source with --on",
        if_by_hand: str = "name another source with --on",
    ) -> Dataset:
        facts = self.source()
        if source.fingerprint() != facts["fingerprint"]:
            raise RunError(
                f"source {facts['name']} has changed since run {self.path} was trained on it, so "
                f"its test split is no longer known; {if_changed}"
            )
        if not facts["options"]:
            raise RunError(
                f"run {self.path} was trained on splits that were made by hand, so its test "
                f"split of {facts['name']} is not known; {if_by_hand}"
            )
        return open_dataset(source, **facts["options"], progress=progress)

    def report(self) -> Path:
        """Make the run's ``report.html`` again, from the other files of its folder alone.

        Returns:
            The path of the page.

        Raises:
            RunError: the run is damaged.
            OutputError: the page cannot be written.
        """
        from tenfold.evaluation.report import write_report

        return write_report(self)

    def _predict(self, tta: bool) -> Predict:
        from tenfold.data.normalization import Normalization
        from tenfold.models.predict import load_network, predictor

        facts = self.preprocessing()
        normalization = Normalization(tuple(facts["offset"]), tuple(facts["scale"]))
        network = load_network(
            self.saved_model(), size=facts["size"], classes=len(facts["class_names"])
        )
        return predictor(network, normalization.apply, temperature=self.temperature(), averaged=tta)

    def _split_to_evaluate(
        self,
        on: str | Path | Dataset | None,
        progress: Callable[[int, int | None], None] | None,
    ) -> tuple[Split, tuple[str, ...]]:
        if isinstance(on, Dataset):
            if on.size != (size := self.preprocessing()["size"]):
                raise SourceError(
                    f"{on.source} was opened with pictures of {on.size}x{on.size}, and the model "
                    f"of {self.path} takes {size}x{size}; open it with size={size}"
                )
            return on.test, on.class_names
        facts = self.source()
        source = open_source(on or facts["name"])
        if on is None or source.fingerprint() == facts["fingerprint"]:
            own = self._own_dataset(source, progress)
            return own.test, own.class_names
        return open_for_test(source, size=self.preprocessing()["size"], progress=progress)


def load_run(path: str | Path = "latest") -> Run:
    """Find a run by its folder; ``latest`` is the newest one under ``runs/``.

    Raises:
        RunError: there is no such run.
    """
    return Run(folder.load_run(path).path)
