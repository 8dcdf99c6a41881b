"""Probabilities that mean what they say: one temperature, fitted on the validation split.

Networks are trained until they are surer of themselves than they are right. Dividing the logits by
one number before the softmax mends most of that, and changes no prediction, because it changes no
order (Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.data.dataset import Split
from tenfold.evaluation.reliability import Reliability, expected_calibration_error
from tenfold.files import atomic_write_json
from tenfold.run import Run

_MOST_LOGITS = 2**21
"""Kept, so that memory does not grow with the split: those of 200,000 pictures of 10 classes. Of
more pictures a sample is taken, which leaves one number as well determined as all would."""
_BATCH = 256
_BLOCK = 2**14
_RANGE = 1e-3, 1e3
"""Temperatures looked at, in units of the logits' own spread. Beyond, nothing would change: at
one end each probability is 0 or 1, at the other all of a picture's are equal within a percent."""


@dataclass(frozen=True)
class Quality:
    """How good probabilities are.

    Attributes:
        loss: mean negative log-likelihood of the true class, nats.
        expected_calibration_error: over 15 bins of equal width; see `expected_calibration_error`.
    """

    loss: float
    expected_calibration_error: float


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The contents of a run's `calibration.json`.

    Attributes:
        temperature: what logits are divided by; 1 changes nothing.
        split: what it was fitted on.
        count: of how many pictures, those without finite logits not counted.
        before: at temperature 1; None where there was nothing to fit on.
        after: at `temperature`, likewise.
        reason: why the temperature is 1 although nothing was fitted; None where it was.
    """

    temperature: float = 1.0
    split: str = "validation"
    count: int = 0
    before: Quality | None = None
    after: Quality | None = None
    reason: str | None = None


def calibrate(
    split: Split,
    logits: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    *,
    batch_size: int = _BATCH,
) -> Calibration:
    """Fit the temperature of a network.

    Args:
        split: the validation split, and never another.
        logits: of a batch of pictures, float32 (N, classes), from uint8 (N, size, size, 3).
        batch_size: the most pictures in a batch, which bounds memory.
    """
    if not len(split):
        return Calibration(reason="there are no validation pictures to fit a temperature on")
    values, labels = _collect(split, logits, batch_size)
    if not len(values):
        return Calibration(reason="the network gives no finite logits on the validation pictures")
    temperature, reason = fit_temperature(values, labels)
    return Calibration(
        temperature=temperature,
        split=split.name,
        count=len(labels),
        before=_quality(values, labels, 1.0),
        after=_quality(values, labels, temperature),
        reason=reason,
    )


def save_calibration(run: Run, calibration: Calibration) -> None:
    """Write a run's `calibration.json`.

    Raises:
        OutputError: the disk is full or takes no writes.
    """
    atomic_write_json(run.calibration_path, asdict(calibration))


def fit_temperature(
    logits: NDArray[np.float32], labels: NDArray[np.integer[Any]]
) -> tuple[float, str | None]:
    """The temperature of the least mean negative log-likelihood, and why there is none, if so.

    The likelihood is concave in the inverse of the temperature, so there is one optimum. It may
    lie at infinity: where every picture is right, the likelihood never ceases to rise.

    Args:
        logits: finite, (N, classes), N at least 1.
        labels: the true classes, (N,).
    """
    from scipy.optimize import minimize_scalar

    spread = math.sqrt(float(np.mean(logits.var(axis=1, dtype=np.float64))))
    if spread == 0:
        return 1.0, "the network's logits are all equal, so that no temperature changes anything"
    if (logits.argmax(axis=1) == labels).all():
        return 1.0, "every validation picture is predicted rightly, so that none shows doubt"
    found = minimize_scalar(
        lambda log_temperature: _loss(logits, labels, math.exp(log_temperature)),
        bounds=[math.log(spread * factor) for factor in _RANGE],
        method="bounded",
        options={"xatol": 1e-4},
    )
    return math.exp(found.x), None


def _collect(
    split: Split, logits: Callable[[NDArray[np.uint8]], NDArray[np.float32]], batch_size: int
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Finite logits and the labels that go with them, of as many pictures as are kept."""
    first = logits(split.gather(np.arange(1))[0])
    most = max(1, _MOST_LOGITS // first.shape[1])
    positions = np.arange(len(split))
    if len(split) > most:
        positions = np.sort(np.random.default_rng(0).choice(len(split), most, replace=False))
    values = np.empty((len(positions), first.shape[1]), np.float32)
    labels = np.empty(len(positions), np.int32)
    kept = 0
    for at in range(0, len(positions), batch_size):
        pixels, truth = split.gather(positions[at : at + batch_size])
        batch = logits(pixels)
        finite = np.isfinite(batch).all(axis=1)
        count = int(finite.sum())
        values[kept : kept + count] = batch[finite]
        labels[kept : kept + count] = truth[finite]
        kept += count
    return values[:kept], labels[:kept]


def _loss(
    logits: NDArray[np.float32], labels: NDArray[np.integer[Any]], temperature: float
) -> float:
    """Mean negative log-likelihood, exact where a probability rounds to 0."""
    total = 0.0
    for at in range(0, len(logits), _BLOCK):
        scaled = logits[at : at + _BLOCK].astype(np.float64) / temperature
        of_truth = scaled[np.arange(len(scaled)), labels[at : at + _BLOCK]]
        largest = scaled.max(axis=1)
        total += float(
            (np.log(np.exp(scaled - largest[:, None]).sum(axis=1)) + largest - of_truth).sum()
        )
    return total / len(logits)


def _quality(
    logits: NDArray[np.float32], labels: NDArray[np.integer[Any]], temperature: float
) -> Quality:
    reliability = Reliability()
    for at in range(0, len(logits), _BLOCK):
        scaled = logits[at : at + _BLOCK].astype(np.float64) / temperature
        exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        reliability = reliability.added(labels[at : at + _BLOCK], probabilities)
    return Quality(
        loss=_loss(logits, labels, temperature),
        expected_calibration_error=expected_calibration_error(reliability),
    )
