"""Answers for a stream of pictures, in order, on all cores, in bounded memory.

Each core has a thread that takes a chunk of pictures and does all there is to do for it: read the
files, decode them into one batch, run the network, sort the probabilities. ONNX Runtime lets go of
the interpreter while it computes, which is nearly all of the time, so that threads of one core each
keep every core busy without waiting for one another; a network that itself computes in several
threads, which meet after every layer, has to be faster than that before it is worth it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tenfold.data.decode import DecodeError, decode
from tenfold.serving.inputs import Found, ReadError, Skipped, read_file

# A chunk is large enough that handing it over costs little beside answering it, and small enough
# that its pixels stay in the processor's cache and its answers come soon.
_CHUNK_PICTURES = 64
_CHUNK_PIXELS = 1 << 18
_CHUNK_CONTENT_BYTES = 2 << 20
_CHUNKS_WAITING = 2


class Model(Protocol):
    """What is asked of a `tenfold.serving.predictor.Predictor`; several threads ask at once."""

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """From uint8 (N, size, size, 3) to probabilities, float32 (N, classes)."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of consecutive pictures.

    Attributes:
        names: of the N that were answered, in order.
        classes: the ``top`` most probable classes of each, best first, intp (N, top).
        probabilities: theirs, float32 (N, top).
        skipped: those that could not be answered, each with the number of names before it.
    """

    names: list[str]
    classes: NDArray[np.intp]
    probabilities: NDArray[np.float32]
    skipped: list[tuple[int, Skipped]]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What came of one picture.

    Attributes:
        path: its path; for one in an archive, the archive's path and the path in it.
        top: the most probable classes and their calibrated probabilities, best first; empty where
            there is a problem.
        problem: why there is no answer, in words; None where there is one.
    """

    path: str
    top: tuple[tuple[str, float], ...]
    problem: str | None


def answer(
    model: Model, inputs: Iterable[Found | Skipped], *, top: int, threads: int
) -> Generator[Answers]:
    """Predict pictures as they come.

    Args:
        model: what predicts; it should compute in one thread a call.
        inputs: from `tenfold.serving.inputs.find`, read a bounded number ahead of what is yielded.
        top: how many classes to give, the most probable first; of equals the first.
        threads: how many chunks are under way at a time.

    Yields:
        A chunk's answers, in the order of the inputs; each input is in exactly one of them.
    """
    chunks = _cut_into_chunks(inputs, model.size)
    head = list(islice(chunks, 2))
    if len(head) < 2 or threads == 1:
        for chunk in chain(head, chunks):
            yield _answer_chunk(model, chunk, top)
    else:
        yield from _answer_in_threads(model, chain(head, chunks), top, threads)


def one_by_one(stream: Iterable[Answers], class_names: Sequence[str]) -> Iterator[Prediction]:
    """The same answers one at a time, in the order of the inputs.

    Args:
        stream: from `answer`.
        class_names: in the order of the probabilities.
    """
    for answers in stream:
        skipped = deque(answers.skipped)
        rows = zip(
            answers.names, answers.classes.tolist(), answers.probabilities.tolist(), strict=True
        )
        for number, (name, classes, probabilities) in enumerate(rows):
            while skipped and skipped[0][0] == number:
                yield _problem(skipped.popleft()[1])
            names = [class_names[one] for one in classes]
            yield Prediction(name, tuple(zip(names, probabilities, strict=True)), None)
        for _, one in skipped:
            yield _problem(one)


def _problem(skipped: Skipped) -> Prediction:
    return Prediction(skipped.name, (), skipped.reason)


def _cut_into_chunks(
    inputs: Iterable[Found | Skipped], size: int
) -> Iterator[list[Found | Skipped]]:
    most = max(1, min(_CHUNK_PICTURES, _CHUNK_PIXELS // size**2))
    chunk: list[Found | Skipped] = []
    content_bytes = 0
    for one in inputs:
        chunk.append(one)
        if isinstance(one, Found) and one.content is not None:
            content_bytes += len(one.content)
        if len(chunk) == most or content_bytes >= _CHUNK_CONTENT_BYTES:
            yield chunk
            chunk, content_bytes = [], 0
    if chunk:
        yield chunk


def _answer_in_threads(
    model: Model, chunks: Iterable[list[Found | Skipped]], top: int, count: int
) -> Generator[Answers]:
    from concurrent.futures import Future, ThreadPoolExecutor

    threads = ThreadPoolExecutor(count, thread_name_prefix="tenfold-predict")
    under_way: deque[Future[Answers]] = deque()
    try:
        for chunk in chunks:
            under_way.append(threads.submit(_answer_chunk, model, chunk, top))
            if len(under_way) >= count + _CHUNKS_WAITING:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)


def _answer_chunk(model: Model, chunk: list[Found | Skipped], top: int) -> Answers:
    size = model.size
    pixels = np.empty((len(chunk), size, size, 3), np.uint8)
    names: list[str] = []
    skipped: list[tuple[int, Skipped]] = []
    for one in chunk:
        if isinstance(one, Skipped):
            skipped.append((len(names), one))
            continue
        name, content = one
        try:
            pixels[len(names)] = decode(read_file(name) if content is None else content, size)
        except (DecodeError, ReadError) as error:
            skipped.append((len(names), Skipped(name, str(error))))
        else:
            names.append(name)
    probabilities = model.predict(pixels[: len(names)])
    finite: NDArray[np.bool_] = np.all(np.isfinite(probabilities), axis=1)
    if not finite.all():
        names, skipped = _without_broken(names, skipped, finite)
        probabilities = probabilities[finite]
    classes = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return Answers(names, classes, np.take_along_axis(probabilities, classes, axis=1), skipped)


def _without_broken(
    names: list[str], skipped: list[tuple[int, Skipped]], finite: NDArray[np.bool_]
) -> tuple[list[str], list[tuple[int, Skipped]]]:
    """Move pictures for which the network gave NaN or infinity to those that were skipped."""
    reason = "the model gives no probabilities for it (NaN or infinity)"
    broken = [(int(at), Skipped(names[at], reason)) for at in np.flatnonzero(~finite)]
    # Those that were skipped before a picture are in the list first, and the sort is stable.
    moved = sorted([*skipped, *broken], key=lambda pair: pair[0])
    left = [0, *np.cumsum(finite).tolist()]  # how many names are left before each
    kept = [name for name, good in zip(names, finite, strict=True) if good]
    return kept, [(left[at], one) for at, one in moved]
