"""Duplicates of a store: equal pictures, who has one where, groups, and what is kept on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tenfold.data.duplicates import Duplicates, find_duplicates, found, known_duplicates
from tenfold.data.sources import DigitsSource
from tenfold.data.sources.base import Picture, Source
from tenfold.data.store import Store, open_store
from tenfold.errors import OutputError

from .pictures import Pixels, photographs


class Pictures(Source):
    kind = "pictures"

    def __init__(self, pictures: Pixels) -> None:
        super().__init__("pictures")
        self._pictures = pictures

    def fingerprint(self) -> str:
        return str(hash(self._pictures.tobytes()))

    def pictures(self) -> Iterator[Picture]:
        for number, picture in enumerate(self._pictures):
            yield Picture(f"{number}", "ab"[number % 2], None, picture)


def stored(pictures: Pixels, cache: Path) -> Store:
    return open_store(Pictures(pictures), size=pictures.shape[1], cache=cache)


def made(count: int, first: dict[int, int], near: list[tuple[int, int]]) -> Duplicates:
    firsts = np.arange(count)
    for copy, original in first.items():
        firsts[copy] = original
    pairs = np.array(near, np.int64).reshape(-1, 2)
    return Duplicates(
        firsts, pairs, np.zeros(len(pairs), bool), np.ones(len(pairs), np.float32), count
    )


# --- Equal pictures ------------------------------------------------------------------------------


@given(shades=st.lists(st.integers(0, 4), min_size=2, max_size=60))
@settings(max_examples=30, deadline=None)
def test_the_first_of_equal_pictures_is_the_one_that_a_loop_finds(
    shades: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    pictures = np.full((len(shades), 8, 8, 3), 9, np.uint8)
    pictures[:, 7, 7, 2] = shades
    store = stored(pictures, tmp_path_factory.mktemp("cache"))
    seen: dict[bytes, int] = {}
    expected = [seen.setdefault(picture.tobytes(), at) for at, picture in enumerate(pictures)]
    assert found.exact_firsts(store).tolist() == expected


def test_black_pictures_are_equal_to_each_other_and_near_to_nothing(tmp_path: Path) -> None:
    pictures = photographs(12)
    pictures[[2, 5, 7]] = 0
    pictures[9] = 1
    duplicates = find_duplicates(stored(pictures, tmp_path))
    assert duplicates.exact_copies.tolist() == [5, 7]
    assert len(duplicates.near) == 0


@pytest.mark.parametrize("size", [8, 32])
def test_different_digits_are_no_duplicates_however_large_they_are_made(
    size: int, tmp_path: Path
) -> None:
    duplicates = find_duplicates(open_store(DigitsSource(), size=size, cache=tmp_path))
    assert (duplicates.compared, len(duplicates.near)) == (0, 0)


# --- Who has a duplicate where -------------------------------------------------------------------

_PAIRS = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=12)


@given(copies=_PAIRS, near=_PAIRS, sides=st.lists(st.integers(0, 2), min_size=15, max_size=15))
@settings(max_examples=200, deadline=None)
def test_who_has_a_duplicate_where_is_what_a_loop_over_pairs_says(
    copies: list[tuple[int, int]], near: list[tuple[int, int]], sides: list[int]
) -> None:
    first: dict[int, int] = {}
    for one, two in copies:
        if one < two and one not in first and two not in first and two not in first.values():
            first[two] = one
    pairs = sorted({(a, b) for a, b in near if a < b and a not in first and b not in first})
    duplicates = made(15, first, pairs)

    def same(one: int, two: int, changed: bool) -> bool:
        one, two = first.get(one, one), first.get(two, two)
        return one == two or (changed and (min(one, two), max(one, two)) in pairs)

    here = np.flatnonzero(np.array(sides) == 0)
    there = np.flatnonzero(np.array(sides) == 1)
    for changed in (True, False):
        expected = [any(same(one, two, changed) for two in there) for one in here]
        assert duplicates.within(here, there, near=changed).tolist() == expected

    # Groups, by growing one until nothing is added.
    left, groups = set(range(15)), []
    while left:
        group = {min(left)}
        while grown := {o for o in left - group if any(same(o, i, True) for i in group)}:
            group |= grown
        left -= group
        groups += [sorted(group)] if len(group) > 1 else []
    assert [group.tolist() for group in duplicates.groups()] == groups


# --- What is kept --------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    pictures = photographs(30)
    pictures[20] = pictures[3, :, ::-1]
    pictures[21] = pictures[4]
    return stored(pictures, tmp_path)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[Store]:
    """The stores that were searched."""
    made: list[Store] = []
    search = found._find

    def noted(store: Store, *arguments: object) -> Duplicates:
        made.append(store)
        return search(store, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(found, "_find", noted)
    return made


def same(one: Duplicates, two: Duplicates) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(two, name))
        for name in ("first", "near", "mirrored", "likeness", "compared")
    )


def kept_file(store: Store) -> Path:
    return store.path.with_suffix(".duplicates.npz")


def test_a_store_is_searched_once(store: Store, searches: list[Store]) -> None:
    assert known_duplicates(store) is None
    duplicates = find_duplicates(store)
    assert duplicates.near.tolist() == [[3, 20]]
    assert duplicates.exact_copies.tolist() == [21]
    again, known = find_duplicates(store), known_duplicates(store)
    assert known is not None
    assert same(duplicates, again)
    assert same(duplicates, known)
    assert len(searches) == 1
    assert sorted(path.suffix for path in store.path.parent.iterdir()) == [
        "",
        ".lock",
        ".lock",
        ".npz",
    ]


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(_flipped(path.read_bytes())),
        lambda path: np.savez(path, method=np.array(found.METHOD_VERSION)),
        lambda path: np.savez(path, **{**_content(path), "method": np.array(0)}),
        lambda path: np.savez(path, **{**_content(path), "fingerprint": np.array("other")}),
        lambda path: np.savez(path, **{**_content(path), "first": np.arange(29)}),
        lambda path: np.savez(path, **{**_content(path), "near": np.array([[3, 30]])}),
        lambda path: np.savez(path, **{**_content(path), "near": np.array([[3, -1]])}),
        lambda path: np.savez(path, **{**_content(path), "near": np.array([["a", "b"]])}),
        lambda path: np.savez(path, **{**_content(path), "mirrored": np.ones(3)}),
        lambda path: np.savez(path, **{**_content(path), "compared": np.array([None])}),
    ],
)
def test_what_is_damaged_or_of_another_store_is_searched_anew(
    harm: Callable[[Path], object], store: Store, searches: list[Store]
) -> None:
    duplicates = find_duplicates(store)
    harm(kept_file(store))
    assert known_duplicates(store) is None
    assert same(find_duplicates(store), duplicates)
    assert len(searches) == 2
    assert known_duplicates(store) is not None


def _content(path: Path) -> dict[str, NDArray[np.generic]]:
    with np.load(path) as content:
        return dict(content)


def _flipped(content: bytes) -> bytes:
    middle = content.index(b"first.npy") + 200
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def test_a_search_that_fails_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> NDArray[np.float32]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tenfold.data.duplicates.near.likeness", interrupted)
        with pytest.raises(KeyboardInterrupt):
            find_duplicates(store)
    assert not kept_file(store).exists()
    assert not list(store.path.parent.glob("*.partial"))


def test_what_a_killed_search_left_is_swept_away(store: Store) -> None:
    left = store.path.with_suffix(".search.partial")
    other = store.path.with_name("dead.search.partial")
    for folder in (left, other):
        folder.mkdir()
        (folder / "grey").write_bytes(b"half")
    find_duplicates(store)
    assert not left.exists()
    assert not other.exists()


def test_a_full_disk_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("tenfold.data.duplicates.near.describe", full)
    with pytest.raises(OutputError, match=r"disk is full.*TENFOLD_CACHE"):
        find_duplicates(store)


def test_in_a_cache_that_cannot_be_written_duplicates_are_found_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert find_duplicates(store).near.tolist() == [[3, 20]]
    assert known_duplicates(store) is None
