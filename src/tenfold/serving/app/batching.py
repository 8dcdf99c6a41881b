"""Dynamic batching: pictures of several requests go through the model together.

Whatever takes long runs in threads, never on the event loop. While a batch is computed, the next
one gathers; where nothing is computed, a picture waits a moment for others. A picture is decoded by
the thread that computes its batch, so that a request costs no hand-over of its own. A large one
would hold up its batch, and is decoded before, in a thread for such.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tenfold.data.decode import DecodeError
from tenfold.serving.app.decoding import SMALL, check_pixels, decode_checked
from tenfold.serving.app.limits import Batching

Picture = bytes | NDArray[np.uint8]
"""An encoded file, or pixels of the size that the model takes."""


class Model(Protocol):
    """What is served: `tenfold.serving.predictor.Predictor`, or what a test puts in its place."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the probabilities."""

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (N, classes) of pictures (N, size, size, 3); may be called by threads."""


class PictureError(Exception):
    """One picture of a request cannot be used.

    Attributes:
        position: which one, from 0.
        reason: why, in words.
    """

    def __init__(self, position: int, reason: DecodeError) -> None:
        super().__init__(str(reason))
        self.position = position
        self.reason = reason


@dataclass(slots=True)
class _Job:
    """The pictures of one request, and the rows of probabilities so far."""

    pictures: list[Picture]
    done: asyncio.Future[list[NDArray[np.float32]]]
    missing: int
    rows: list[NDArray[np.float32] | None] = field(default_factory=list)


_Entry = tuple[_Job, int]
_Outcome = NDArray[np.float32] | DecodeError | None
"""Probabilities; why there are none; or None for a picture that is to be decoded on its own."""


class Batcher:
    """Puts pictures through a model in batches.

    Args:
        model: the model.
        batching: sizes and times.
        max_pixels: the most that a picture may declare.
        observe: told how many pictures each batch had.

    Attributes:
        batching: sizes and times.
    """

    def __init__(
        self,
        model: Model,
        batching: Batching,
        *,
        max_pixels: int,
        observe: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.batching = batching
        self._model = model
        self._max_pixels = max_pixels
        self._observe = observe
        self._queue: deque[_Entry] = deque()
        self._idle = batching.threads
        self._timer: asyncio.TimerHandle | None = None
        self._threads = ThreadPoolExecutor(batching.threads, "batch")
        self._large = ThreadPoolExecutor(1, "large")
        self._tasks: set[asyncio.Future[None]] = set()

    @property
    def waiting(self) -> int:
        """Pictures that are in no batch yet."""
        return len(self._queue)

    async def predict(self, pictures: Sequence[Picture]) -> list[NDArray[np.float32]]:
        """Class probabilities of each picture, float32 (classes,).

        A caller that is cancelled takes its pictures with it.

        Raises:
            PictureError: a picture cannot be used; nothing is said of the others.
        """
        done: asyncio.Future[list[NDArray[np.float32]]]
        done = asyncio.get_running_loop().create_future()
        job = _Job(list(pictures), done, len(pictures), [None] * len(pictures))
        self._queue.extend((job, position) for position in range(len(pictures)))
        self._schedule()
        return await done

    async def decode(self, picture: bytes) -> NDArray[np.uint8]:
        """The pixels that the model sees of a picture, uint8 (size, size, 3).

        Raises:
            PictureError: it cannot be used.
        """

        def work() -> NDArray[np.uint8]:
            check_pixels(picture, self._max_pixels)
            return decode_checked(picture, self._model.size)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._large, work)
        except DecodeError as error:
            raise PictureError(0, error) from None

    def close(self) -> None:
        """End the threads; nothing may be under way."""
        self._threads.shutdown()
        self._large.shutdown()

    def _schedule(self) -> None:
        """Start batches where threads are free, at once where they are full."""
        while self._idle and len(self._queue) >= self.batching.pictures:
            self._start()
        if self._idle and self._queue and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.batching.wait_seconds, self._waited)

    def _waited(self) -> None:
        self._timer = None
        if self._idle and self._queue:
            self._start()

    def _start(self) -> None:
        batch: list[_Entry] = []
        while self._queue and len(batch) < self.batching.pictures:
            entry = self._queue.popleft()
            if not entry[0].done.done():
                batch.append(entry)
        if not batch:
            return
        self._idle -= 1
        self._run(self._compute_and_settle(batch))

    async def _compute_and_settle(self, batch: list[_Entry]) -> None:
        loop = asyncio.get_running_loop()
        try:
            pictures = [job.pictures[position] for job, position in batch]
            outcomes = await loop.run_in_executor(self._threads, self._compute, pictures)
            for entry, outcome in zip(batch, outcomes, strict=True):
                self._settle(entry, outcome)
        except Exception as error:
            for job, _ in batch:
                if not job.done.done():
                    job.done.set_exception(error)
        finally:
            self._idle += 1
            self._schedule()

    def _compute(self, pictures: list[Picture]) -> list[_Outcome]:
        """In a thread: decode what is small, and put it through the model."""
        outcomes: list[_Outcome] = [None] * len(pictures)
        pixels: list[NDArray[np.uint8]] = []
        places: list[int] = []
        for place, picture in enumerate(pictures):
            if isinstance(picture, bytes):
                try:
                    if check_pixels(picture, self._max_pixels) > SMALL:
                        continue
                    picture = decode_checked(picture, self._model.size)
                except DecodeError as error:
                    outcomes[place] = error
                    continue
            pixels.append(picture)
            places.append(place)
        if pixels:
            self._observe(len(pixels))
            rows = self._model.predict(np.stack(pixels))
            for place, row in zip(places, rows, strict=True):
                outcomes[place] = row
        return outcomes

    def _settle(self, entry: _Entry, outcome: _Outcome) -> None:
        job, position = entry
        if job.done.done():
            return
        if outcome is None:
            self._run(self._decode_large(job, position))
        elif isinstance(outcome, DecodeError):
            job.done.set_exception(PictureError(position, outcome))
        else:
            job.rows[position] = outcome
            job.missing -= 1
            if not job.missing:
                job.done.set_result([row for row in job.rows if row is not None])

    async def _decode_large(self, job: _Job, position: int) -> None:
        content = job.pictures[position]
        assert isinstance(content, bytes)  # noqa: S101 - pixels need no decoding

        def decode() -> NDArray[np.uint8] | None:
            return None if job.done.done() else decode_checked(content, self._model.size)

        try:
            pixels = await asyncio.get_running_loop().run_in_executor(self._large, decode)
        except DecodeError as error:
            self._settle((job, position), error)
            return
        except Exception as error:
            if not job.done.done():
                job.done.set_exception(error)
            return
        if pixels is not None:
            job.pictures[position] = pixels
            self._queue.append((job, position))
            self._schedule()

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)
