"""What can be done with a finished run, in Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tenfold import run as folder
from tenfold.data.dataset import Dataset, Split, open_dataset, open_for_test
from tenfold.data.sources import open_source
from tenfold.errors import RunError, SourceError
from tenfold.evaluation import Evaluation, evaluate_probabilities

if TYPE_CHECKING:
    from tenfold.models.predict import Predict

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
            tta: average the probabilities of each picture and its mirror image.
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
        """Class probabilities of pictures.

        Args:
            images: uint8 (N, H, W, 3), already of the size that the model takes.
            tta: average over each picture and its mirror image.

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

    def _predict(self, tta: bool) -> Predict:
        from tenfold.data.normalization import Normalization
        from tenfold.models.predict import load_network, predictor

        facts = self.preprocessing()
        normalization = Normalization(tuple(facts["offset"]), tuple(facts["scale"]))
        network = load_network(
            self.saved_model(), size=facts["size"], classes=len(facts["class_names"])
        )
        return predictor(network, normalization.apply, mirror=tta)

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
        if source.fingerprint() == facts["fingerprint"]:
            if not facts["options"]:
                raise RunError(
                    f"run {self.path} was trained on splits that were made by hand, so its test "
                    f"split of {facts['name']} is not known; name another source with --on"
                )
            own = open_dataset(source, **facts["options"], progress=progress)
            return own.test, own.class_names
        if on is None:
            raise RunError(
                f"source {facts['name']} has changed since run {self.path} was trained on it, so "
                "its test split is no longer known; name the source with --on"
            )
        return open_for_test(source, size=self.preprocessing()["size"], progress=progress)


def load_run(path: str | Path = "latest") -> Run:
    """Find a run by its folder; ``latest`` is the newest one under ``runs/``.

    Raises:
        RunError: there is no such run.
    """
    return Run(folder.load_run(path).path)
