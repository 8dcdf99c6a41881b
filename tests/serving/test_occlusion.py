"""The occlusion map, beside a loop that covers one place at a time."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.serving.occlusion import GREY, Occlusion


def plain_map(pixels: np.ndarray, cells: int, patch: int, score: object) -> np.ndarray:
    """By the definition, for sides that the cells divide."""
    size = len(pixels)
    side = size // cells
    whole = score(pixels)
    drops: dict[tuple[int, int], list[float]] = {}
    for top in range(cells - patch + 1):
        for left in range(cells - patch + 1):
            copy = pixels.copy()
            copy[top * side : (top + patch) * side, left * side : (left + patch) * side] = GREY
            for row in range(top, top + patch):
                for column in range(left, left + patch):
                    drops.setdefault((row, column), []).append(whole - score(copy))
    return np.array([[np.mean(drops[r, c]) for c in range(cells)] for r in range(cells)])


@pytest.mark.parametrize(("size", "cells", "patch"), [(32, 16, 4), (16, 16, 4), (8, 8, 2)])
def test_the_map_is_that_of_its_definition(size: int, cells: int, patch: int) -> None:
    random = np.random.default_rng(size)
    pixels = random.integers(0, 256, (size, size, 3), np.uint8)
    weights = random.normal(size=pixels.shape)

    def score(picture: np.ndarray) -> float:
        return float((picture * weights).mean())

    occlusion = Occlusion(size)
    assert (occlusion.cells, occlusion.patch) == (cells, patch)
    covered = [score(copy) for copies in occlusion.covered(pixels, 7) for copy in copies]
    found = occlusion.drops(score(pixels), covered)
    assert found == pytest.approx(plain_map(pixels, cells, patch, score), abs=1e-9)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 31, 224])
def test_the_cells_cover_a_picture_of_any_size(size: int) -> None:
    occlusion = Occlusion(size)
    edges = occlusion.edges
    assert (edges[0], edges[-1]) == (0, size)
    assert (np.diff(edges) > 0).all()
    drops = occlusion.drops(1.0, [0.25] * len(occlusion.windows))
    assert drops == pytest.approx(np.full((occlusion.cells, occlusion.cells), 0.75))


def test_copies_come_a_few_at_a_time_and_leave_the_picture_alone() -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    occlusion = Occlusion(16)
    counts = [len(copies) for copies in occlusion.covered(pixels, 50)]
    assert counts == [50, 50, 50, 19]
    assert not pixels.any()
