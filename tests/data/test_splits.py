"""Stratified draws: every class gives its share, nothing is drawn twice, one seed one draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tenfold.data.splits import hold_out, limit_rows

SEEDS = st.integers(0, 2**31 - 1)
FRACTIONS = st.floats(0.01, 0.95)
LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=120).map(
    lambda values: np.array(values, np.int32)
)


@given(LABELS, st.floats(0.0, 0.95), SEEDS)
def test_kept_and_held_are_all_pictures_once_in_order(
    labels: NDArray[np.int32], fraction: float, seed: int
) -> None:
    kept, held = hold_out(labels, fraction, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(labels)))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held) > 0).all()


@given(LABELS, FRACTIONS, SEEDS)
def test_a_class_of_two_or_more_is_in_both_parts_and_a_single_one_is_kept(
    labels: NDArray[np.int32], fraction: float, seed: int
) -> None:
    kept, held = hold_out(labels, fraction, seed)
    for label, count in enumerate(np.bincount(labels)):
        of_kept, of_held = (labels[kept] == label).sum(), (labels[held] == label).sum()
        if count >= 2:
            assert of_kept >= 1
            assert of_held >= 1
        else:
            assert (of_kept, of_held) == (count, 0)


@given(st.lists(st.integers(30, 90), min_size=1, max_size=6), st.floats(0.1, 0.9), SEEDS)
def test_every_class_gives_its_share_to_within_one_and_the_sum_is_exact(
    counts: list[int], fraction: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    held = hold_out(labels, fraction, seed)[1]
    assert len(held) == round(fraction * len(labels))
    shares = np.bincount(labels[held], minlength=len(counts))
    assert (np.abs(shares - np.array(counts) * len(held) / len(labels)) < 1).all()


def test_the_largest_remainders_get_what_is_left_over() -> None:
    # A fifth of 13, 14 and 18 is 2.6, 2.8 and 3.6; of the sum, 9. Floors give 7; the two that
    # are left go to 0.8 and, of the equal remainders 0.6, to the lower class.
    labels = np.repeat(np.arange(3, dtype=np.int32), [13, 14, 18])
    np.testing.assert_array_equal(np.bincount(labels[hold_out(labels, 0.2, 0)[1]]), [3, 3, 3])


@given(LABELS, FRACTIONS, SEEDS)
def test_a_draw_is_a_pure_function(labels: NDArray[np.int32], fraction: float, seed: int) -> None:
    once, again = hold_out(labels, fraction, seed), hold_out(labels.copy(), fraction, seed)
    np.testing.assert_array_equal(once[1], again[1])


def test_a_draw_stays_the_same_for_good() -> None:
    labels = np.repeat(np.arange(2, dtype=np.int32), 10)
    # What a run of long ago was trained on: never change these numbers.
    assert hold_out(labels, 0.2, seed=0)[1].tolist() == [2, 3, 11, 13]
    assert limit_rows(labels, 6, seed=1).tolist() == [2, 4, 9, 16, 18, 19]


def test_seeds_differ_and_places_are_drawn_evenly() -> None:
    labels = np.zeros(20, np.int32)
    drawn = np.zeros(20)
    for seed in range(2000):
        drawn[hold_out(labels, 0.25, seed)[1]] += 1
    # Each place is a binomial of 2000 draws at 1/4: mean 500, standard deviation 19.4.
    assert np.abs(drawn - 500).max() < 5 * 19.4


def test_no_share_holds_nothing_out() -> None:
    kept, held = hold_out(np.zeros(5, np.int32), 0.0, 0)
    assert (len(kept), len(held)) == (5, 0)
    kept, held = hold_out(np.zeros(0, np.int32), 0.5, 0)
    assert (len(kept), len(held)) == (0, 0)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_shares_out_of_range_are_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="from 0 to less than 1"):
        hold_out(np.zeros(5, np.int32), fraction, 0)


@given(LABELS, st.integers(1, 150), SEEDS)
def test_a_limit_is_exact_keeps_the_order_and_every_class(
    labels: NDArray[np.int32], rows: int, seed: int
) -> None:
    chosen = limit_rows(labels, rows, seed)
    assert len(chosen) == min(rows, len(labels))
    assert (np.diff(chosen) > 0).all()
    if rows >= len(np.unique(labels)):
        assert set(labels[chosen]) == set(labels)


@given(st.lists(st.integers(20, 90), min_size=1, max_size=6), st.data())
def test_a_limit_takes_every_class_by_its_share(counts: list[int], data: st.DataObject) -> None:
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    rows = data.draw(st.integers(len(counts) * 6, len(labels)))
    quotas = np.array(counts) * rows / len(labels)
    assume(quotas.min() >= 1)
    shares = np.bincount(labels[limit_rows(labels, rows, 3)], minlength=len(counts))
    assert (np.abs(shares - quotas) < 1).all()


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        limit_rows(np.zeros(5, np.int32), 0, 0)
