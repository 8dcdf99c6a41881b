"""Changed copies are found among pictures that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tenfold.data.duplicates.near import LEAST, NearPairs, find_near

from .pictures import CHANGES, Pixels, photographs


def near(pictures: Pixels, folder: Path, **options: object) -> NearPairs:
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return find_near(pictures, np.arange(len(pictures)), scratch, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def planted() -> tuple[Pixels, dict[tuple[int, int], str]]:
    """Pictures, and which of them are which changes of which."""
    originals = photographs(30 * len(CHANGES), seed=7)
    copies, expected = [], {}
    for number, change in enumerate(CHANGES):
        for original in range(30 * number, 30 * number + 12):
            expected[original, len(originals) + len(copies)] = change
            copies.append(CHANGES[change](originals[original]))
    return np.concatenate([originals, np.stack(copies)]), expected


def test_changed_copies_are_found_and_nothing_else(
    planted: tuple[Pixels, dict[tuple[int, int], str]], tmp_path: Path
) -> None:
    pictures, expected = planted
    found = near(pictures, tmp_path)
    pairs = [(int(one), int(two)) for one, two in found.pairs]
    assert set(pairs) <= set(expected)
    assert len(set(pairs)) == len(pairs)
    assert pairs == sorted(pairs)
    assert found.likeness.min() >= LEAST
    for change in CHANGES:
        of_change = [pair for pair, name in expected.items() if name == change]
        assert sum(pair in pairs for pair in of_change) >= 0.9 * len(of_change), change
    for pair, mirrored in zip(pairs, found.mirrored, strict=True):
        assert mirrored == ("mirrored" in expected[pair])


def test_the_result_depends_on_no_number_of_workers_and_no_size_of_blocks(
    planted: tuple[Pixels, dict[tuple[int, int], str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pictures, _ = planted
    expected = near(pictures, tmp_path)
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr("tenfold.data.duplicates.near._BLOCK", 64)
    found = near(
        pictures, tmp_path, workers=3, progress=lambda done, total: calls.append((done, total))
    )
    np.testing.assert_array_equal(found.pairs, expected.pairs)
    np.testing.assert_array_equal(found.mirrored, expected.mirrored)
    np.testing.assert_allclose(found.likeness, expected.likeness, atol=1e-3)
    total = len(pictures) * (len(pictures) - 1) // 2
    assert [call[1] for call in calls] == [total] * len(calls)
    assert [call[0] for call in calls] == sorted(call[0] for call in calls)
    assert calls[-1][0] == total


def test_pictures_of_another_size_are_compared_too(tmp_path: Path) -> None:
    for size in (16, 80):
        pictures = photographs(40, size=size)
        pictures[30] = pictures[4, :, ::-1]
        pictures[31] = np.clip(pictures[5].astype(int) + 9, 0, 255)
        found = near(pictures, tmp_path)
        assert found.pairs.tolist() == [[4, 30], [5, 31]]
        assert found.mirrored.tolist() == [True, False]


def test_only_the_positions_that_are_asked_for_are_compared(tmp_path: Path) -> None:
    pictures = photographs(20)
    pictures[15] = pictures[3, :, ::-1]
    pictures[16] = pictures[4, :, ::-1]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    positions = np.setdiff1d(np.arange(20), [3])
    assert find_near(pictures, positions, scratch).pairs.tolist() == [[4, 16]]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures_to_compare_are_no_pairs(count: int, tmp_path: Path) -> None:
    assert near(photographs(count), tmp_path).pairs.shape == (0, 2)


def test_blank_pictures_are_no_near_duplicates(tmp_path: Path) -> None:
    shades = np.arange(0, 240, 6, dtype=np.uint8)
    blank = np.broadcast_to(shades[:, None, None, None], (40, 32, 32, 3)).copy()
    blank[:, 3, 4] += 7  # a speck, so that not all of them are the same but for the shade
    assert len(near(blank, tmp_path).pairs) == 0
