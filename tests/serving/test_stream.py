"""Streaming: each picture is answered as it would be alone, in order, a bounded number ahead."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tenfold.data.decode import decode
from tenfold.serving.inputs import Found, Skipped
from tenfold.serving.predictor import Predictor
from tenfold.serving.stream import Answers, answer, one_by_one

from .colours import BLUE, COLOURS, GREEN, RED, picture, write_model

SIZE = 4


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """The path of the model."""
    return write_model(tmp_path / "colours.onnx")


class Shades:
    """A model of five classes that answers by the red of a picture's first pixel."""

    size = SIZE

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.threads.add(threading.current_thread().name)
        rows = np.random.default_rng(0).random((256, 5), np.float32)
        return rows[pixels[:, 0, 0, 0]]


def found(count: int) -> Iterator[Found | Skipped]:
    """Pictures by number, with something in the way at each multiple of 7, and a bad one at 5."""
    for number in range(count):
        if number % 7 == 0:
            yield Skipped(f"gone {number}", "is gone")
        else:
            content = b"no picture" if number % 7 == 5 else picture((number % 256, 0, 0))
            yield Found(str(number), content)


def flat(stream: Iterator[Answers]) -> list[tuple[object, ...]]:
    return [(one.path, one.top, one.problem) for one in one_by_one(stream, "abcde")]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 8, 64, 65, 700])
def test_each_picture_is_answered_as_by_itself_in_order(threads: int, count: int) -> None:
    model = Shades()
    got = flat(answer(model, found(count), top=2, threads=threads))
    expected: list[tuple[object, ...]] = []
    for one in found(count):
        if isinstance(one, Skipped):
            expected.append((one.name, (), one.reason))
        elif one.content == b"no picture":
            reason = "not a JPEG, PNG, WebP, BMP or GIF picture, or cut short"
            expected.append((one.name, (), reason))
        else:
            assert one.content is not None
            (row,) = model.predict(decode(one.content, SIZE)[np.newaxis]).tolist()
            best = sorted(zip("abcde", row, strict=True), key=lambda pair: -pair[1])[:2]
            expected.append((one.name, tuple(best), None))
    assert got == expected
    assert len(model.threads) > 1 or threads == 1 or count <= 64


def test_of_equal_probabilities_the_first_class_is_named_first() -> None:
    class Undecided(Shades):
        def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.tile(np.float32([0.1, 0.3, 0.3, 0.1, 0.2]), (len(pixels), 1))

    (answers,) = answer(Undecided(), [Found("x", RED)], top=5, threads=1)
    assert answers.classes.tolist() == [[1, 2, 4, 0, 3]]


def test_a_picture_that_gets_no_numbers_is_skipped_in_its_place(colours: Path) -> None:
    black = picture((0, 0, 0))
    inputs = [
        Skipped("first", "is gone"),
        *(Found(str(at), content) for at, content in enumerate([RED, black, b"", BLUE, black])),
        Skipped("last", "is gone"),
    ]
    model = Predictor(colours, threads=1)
    got = list(one_by_one(answer(model, inputs, top=1, threads=2), COLOURS))
    assert [one.path for one in got] == ["first", "0", "1", "2", "3", "4", "last"]
    assert [one.top[0][0] for one in got if one.top] == ["red", "blue"]
    problems = [one.problem or "" for one in got]
    assert problems[3] == "the file is empty"
    assert problems[2] == problems[5] == "the model gives no probabilities for it (NaN or infinity)"


def test_files_are_read_when_their_turn_comes(tmp_path: Path, colours: Path) -> None:
    (tmp_path / "green.png").write_bytes(GREEN)
    inputs = [Found(str(tmp_path / name), None) for name in ("green.png", "gone.png")]
    model = Predictor(colours, threads=1)
    good, bad = one_by_one(answer(model, inputs, top=3, threads=1), COLOURS)
    assert [name for name, _ in good.top] == ["green", "red", "blue"]
    np.testing.assert_allclose([p for _, p in good.top], [0.6, 0.3, 0.1], rtol=1e-6)
    assert bad.problem == "no such file or directory"


@pytest.mark.parametrize("content", [None, RED, bytes(100_000)])
def test_a_bounded_number_is_read_ahead(tmp_path: Path, content: bytes | None) -> None:
    taken = 0

    def many() -> Iterator[Found]:
        nonlocal taken
        for number in range(1, 5000):
            taken = number
            yield Found(str(tmp_path / "gone.png"), content)

    stream = answer(Shades(), many(), top=1, threads=2)
    for chunks in range(1, 20):
        next(stream)
        assert taken <= 64 * (chunks + 5)
        if content and len(content) > 1000:  # bytes are bounded too
            assert taken <= 21 * (chunks + 5)
    stream.close()


def test_a_model_that_fails_is_heard_of() -> None:
    class Broken(Shades):
        def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(answer(Broken(), found(300), top=1, threads=2))


def test_decoding_in_threads_leaves_warnings_as_they_were() -> None:
    # Pillow, which warnings are ignored for, decodes these.
    pictures = (Found(str(n), picture((n, 0, 0))) for n in range(250))
    before = list(warnings.filters)
    for _ in answer(Shades(), pictures, top=1, threads=4):
        pass
    assert warnings.filters == before
