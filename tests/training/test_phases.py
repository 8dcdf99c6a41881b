"""Smaller pictures first, and a first layer that comes to rest."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.recipe import load_recipe
from tenfold.training.phases import Phase, costs, has_phases, phase_at


@pytest.mark.parametrize(("before", "after"), [(32, 20), (8, 4), (9, 6), (5, 5)])
def test_a_smaller_picture_has_the_mean_of_the_area_of_each_pixel(before: int, after: int) -> None:
    pictures = np.random.default_rng(0).random((2, before, before, 3), np.float32)
    # Every pixel as many times as there are new ones, so that new ones hold whole numbers of them.
    fine = pictures.repeat(after, axis=1).repeat(after, axis=2)
    expected = fine.reshape(2, after, before, after, before, 3).mean(axis=(2, 4))
    shrunk = Phase(size=after).shrink(pictures)
    np.testing.assert_allclose(shrunk, expected, rtol=1e-4)


def test_pictures_are_small_in_the_first_part_of_the_training() -> None:
    recipe = load_recipe("lab-2", ["training.small_size=20", "training.small_share=0.25"])
    sizes = [phase_at(recipe, progress).size for progress in (0.0, 0.2, 0.25, 0.9)]
    assert sizes == [20, 20, None, None]
    assert phase_at(recipe, 0.0).stem  # which is a matter of another optimizer


def test_the_first_layer_is_trained_as_long_as_its_rate_is_above_zero() -> None:
    recipe = load_recipe("fast", ["optimizer.stem_share=0.5"])
    early, late = phase_at(recipe, 0.4), phase_at(recipe, 0.5)
    assert early.trains("whiten/bias")
    assert not late.trains("whiten/bias")
    assert late.trains("group_1_conv_1/kernel")


def test_most_recipes_are_of_one_piece() -> None:
    assert not has_phases(load_recipe("lab-2"))
    assert not has_phases(load_recipe("lab-2", ["training.small_share=0.5"]))
    assert has_phases(load_recipe("lab-2", ["training.small_size=20"]))
    assert has_phases(load_recipe("fast"))


def test_steps_of_smaller_pictures_are_planned_to_cost_less() -> None:
    recipe = load_recipe("lab-2", ["training.small_size=16", "training.small_share=0.25"])
    assert costs(recipe, 32).phases == [(0.25, 0.25), (0.75, 1.0)]
    assert costs(recipe, 16).phases == costs(load_recipe("lab-2"), 32).phases == ((1.0, 1.0),)
    whole = load_recipe("lab-2", ["training.small_size=16", "training.small_share=1.0"])
    assert costs(whole, 32).phases == [(1.0, 0.25)]
