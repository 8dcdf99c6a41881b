"""Which pairs are looked at: all that a loop over all pairs finds, each once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tenfold.data.duplicates import search
from tenfold.data.duplicates.descriptors import EVEN, LENGTH
from tenfold.data.duplicates.search import candidates


def vectors(count: int, seed: int, clumps: int = 6) -> NDArray[np.float32]:
    """Unit vectors around a few centres, some of them mirrored."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clumps, LENGTH))
    values = centres[rng.integers(0, clumps, count)] + rng.normal(0, 0.6, (count, LENGTH))
    values[rng.random(count) < 0.3, EVEN:] *= -1
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def plain(values: NDArray[np.float32], least: float) -> dict[tuple[int, int], float]:
    """Score of every pair that counts, in one loop over pairs."""
    exact = values.astype(np.float64)
    found = {}
    for one in range(len(values)):
        for two in range(one + 1, len(values)):
            same = exact[one, :EVEN] @ exact[two, :EVEN]
            turned = exact[one, EVEN:] @ exact[two, EVEN:]
            score = same + abs(turned)
            if score >= least:
                found[one, two] = score
    return found


def search_all(
    values: NDArray[np.float32], least: float, block: int
) -> list[tuple[int, int, bool]]:
    count = len(values)
    pairs: list[tuple[int, int, bool]] = []
    for start in range(0, count, block):
        found = candidates(
            lambda a, b: values[a:b], start, min(start + block, count), count, least=least
        )
        pairs += zip(
            found.first.tolist(), found.second.tolist(), found.mirrored.tolist(), strict=True
        )
    return pairs


@given(
    count=st.integers(1, 150), seed=st.integers(0, 2**32 - 1), block=st.sampled_from([7, 40, 500])
)
@settings(max_examples=30, deadline=None)
def test_every_pair_that_scores_enough_is_found_once(count: int, seed: int, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_TILE", 16)
        patch.setattr(search, "PARTNERS", 200)
        values = vectors(count, seed)
        pairs = search_all(values, 0.7, block)
    expected = plain(values, 0.7)
    borderline = {pair for pair, score in plain(values, 0.699).items() if score < 0.701}
    assert {pair[:2] for pair in pairs} - borderline == set(expected) - borderline
    assert len(set(pairs)) == len(pairs)
    for one, two, mirrored in pairs:
        turned = float(values[one, EVEN:] @ values[two, EVEN:])
        if abs(turned) > 0.11:  # else both ways are looked at
            assert mirrored == (turned < 0)


def test_of_many_partners_the_best_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_TILE", 16)
    monkeypatch.setattr(search, "PARTNERS", 5)
    values = vectors(120, seed=4, clumps=2)
    expected = plain(values, 0.5)
    kept: dict[int, set[int]] = {}
    for one, two, _ in search_all(values, 0.5, 50):
        kept.setdefault(one, set()).add(two)
    for one in range(120):
        partners = sorted(
            ((score, two) for (first, two), score in expected.items() if first == one), reverse=True
        )
        assert kept.get(one, set()) == {two for _, two in partners[:5]}


def test_pictures_without_a_descriptor_have_no_partners() -> None:
    assert search_all(np.zeros((40, LENGTH), np.float32), 0.74, 16) == []
