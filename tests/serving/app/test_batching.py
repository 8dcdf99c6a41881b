"""Batches: who goes through the model together, and what becomes of each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from tenfold.data.decode import decode
from tenfold.serving.app.batching import Batcher, PictureError
from tenfold.serving.app.decoding import TooManyPixelsError
from tenfold.serving.app.limits import Batching

from ..colours import BLUE, GREEN, RED, picture

SIZE = 4


class Shares:
    """A model that gives each colour its share, and remembers what it was asked."""

    class_names, size = ("red", "green", "blue"), SIZE

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.threads: set[int] = set()
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        self.batches.append(len(pixels))
        self.threads.add(threading.get_ident())
        self.entered.set()
        assert self.open.wait(30)
        light = pixels.astype(np.float32).mean((1, 2))
        return light / light.sum(1, keepdims=True)


def together(work: Callable[[Batcher], Awaitable[Any]], model: Shares, **settings: Any) -> Any:
    """Run work with a batcher."""
    pixels = settings.pop("max_pixels", 1_000_000)

    async def run() -> Any:
        batcher = Batcher(model, Batching(**settings), max_pixels=pixels)
        try:
            return await work(batcher)
        finally:
            batcher.close()

    return asyncio.run(run())


def best(rows: list[np.ndarray]) -> list[str]:
    return [Shares.class_names[row.argmax()] for row in rows]


async def entered(model: Shares) -> None:
    """Until the model is at work."""
    assert await asyncio.to_thread(model.entered.wait, 30)


def test_requests_at_the_same_time_share_a_batch() -> None:
    model = Shares()

    async def work(batcher: Batcher) -> list[Any]:
        return await asyncio.gather(*(batcher.predict([one]) for one in (RED, GREEN, BLUE, RED)))

    found = together(work, model, wait_seconds=0.05)
    assert [best(rows) for rows in found] == [["red"], ["green"], ["blue"], ["red"]]
    assert model.batches == [4]


def test_a_full_batch_waits_for_nobody_and_none_is_larger() -> None:
    model = Shares()
    pictures = [RED, GREEN, BLUE] * 4

    rows = together(lambda batcher: batcher.predict(pictures), model, pictures=5, wait_seconds=0.01)
    assert best(rows) == ["red", "green", "blue"] * 4
    assert model.batches == [5, 5, 2]

    # A wait that nobody would sit through is not waited for.
    together(lambda batcher: batcher.predict(pictures), model, pictures=6, wait_seconds=3600)


def test_what_comes_while_the_model_works_goes_together_next() -> None:
    model = Shares()
    model.open.clear()

    async def work(batcher: Batcher) -> None:
        first = asyncio.create_task(batcher.predict([RED]))
        await entered(model)
        rest = [asyncio.create_task(batcher.predict([GREEN])) for _ in range(6)]
        await asyncio.sleep(0)
        assert batcher.waiting == 6
        model.open.set()
        await asyncio.gather(first, *rest)

    together(work, model, wait_seconds=0)
    assert model.batches == [1, 6]


def test_several_threads_compute_at_a_time() -> None:
    model = Shares()
    model.open.clear()

    async def work(batcher: Batcher) -> None:
        tasks = [asyncio.create_task(batcher.predict([RED, GREEN])) for _ in range(2)]
        while len(model.batches) < 2:
            await asyncio.sleep(0.001)
        model.open.set()
        await asyncio.gather(*tasks)

    together(work, model, pictures=2, threads=2, wait_seconds=0)
    assert len(model.threads) == 2


def test_nothing_is_computed_on_the_event_loop() -> None:
    model = Shares()
    together(lambda batcher: batcher.predict([RED]), model)
    assert threading.get_ident() not in model.threads


def test_a_bad_picture_spoils_no_other_request() -> None:
    model = Shares()

    async def work(batcher: Batcher) -> list[Any]:
        requests = ([RED], [GREEN, b"no picture"], [BLUE])
        return await asyncio.gather(*map(batcher.predict, requests), return_exceptions=True)

    red, bad, blue = together(work, model, wait_seconds=0.05)
    assert (best(red), best(blue)) == (["red"], ["blue"])
    assert isinstance(bad, PictureError)
    assert bad.position == 1
    assert "not a JPEG" in str(bad)


def test_a_picture_of_too_many_pixels_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("tenfold.serving.app.batching.decode_checked", decoded)
    large = picture((60, 30, 10), size=(11, 10))
    with pytest.raises(PictureError, match="11 x 10 pixels, and the limit is 100") as caught:
        together(lambda batcher: batcher.predict([large]), Shares(), max_pixels=100)
    assert isinstance(caught.value.reason, TooManyPixelsError)


def test_a_large_picture_holds_up_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = threading.Event()
    large = picture((10, 30, 60), size=(600, 600))

    def decode_slowly(content: bytes, size: int) -> np.ndarray:
        if content is large:
            assert slow.wait(30)
        return decode(content, size)

    monkeypatch.setattr("tenfold.serving.app.batching.decode_checked", decode_slowly)
    model = Shares()

    async def work(batcher: Batcher) -> list[Any]:
        late = asyncio.create_task(batcher.predict([GREEN, large]))
        early = [await batcher.predict([RED]) for _ in range(3)]
        assert not late.done()
        slow.set()
        return [*early, await late]

    *early, late = together(work, model, wait_seconds=0)
    assert [best(rows) for rows in early] == [["red"]] * 3
    assert best(late) == ["green", "blue"]


def test_who_gives_up_is_not_computed() -> None:
    model = Shares()
    model.open.clear()

    async def work(batcher: Batcher) -> None:
        first = asyncio.create_task(batcher.predict([RED]))
        await entered(model)
        gone = asyncio.create_task(batcher.predict([GREEN] * 3))
        stays = asyncio.create_task(batcher.predict([BLUE]))
        await asyncio.sleep(0)
        gone.cancel()
        model.open.set()
        assert best(await first) == ["red"]
        assert best(await stays) == ["blue"]

    together(work, model, wait_seconds=0)
    assert model.batches == [1, 1]


def test_a_fault_of_the_model_reaches_whoever_asked_and_the_next_is_answered() -> None:
    model = Shares()
    good = model.predict

    def broken(pixels: np.ndarray) -> np.ndarray:
        model.predict = good  # type: ignore[method-assign]
        raise RuntimeError("a fault")

    model.predict = broken  # type: ignore[method-assign]

    async def work(batcher: Batcher) -> Any:
        with pytest.raises(RuntimeError, match="a fault"):
            await batcher.predict([RED])
        return await batcher.predict([GREEN])

    assert best(together(work, model, wait_seconds=0)) == ["green"]
