"""The operations of a training step, counted by hand."""

from __future__ import annotations

import keras
import pytest

from tenfold.models import STEM, build_network
from tenfold.models.flops import multiplications, step_flops
from tenfold.recipe import ModelSection


def network_of(name: str) -> keras.Model:
    return build_network(ModelSection(name=name), size=32, classes=10)


@pytest.fixture(scope="module")
def airbench() -> keras.Model:
    return network_of("airbench")


def test_of_the_labs_network_1() -> None:
    convolution = 5 * 5 * 3 * 32 * 32 * 32  # 2,457,600 multiplications
    dense = 16 * 16 * 32 * 64 + 64 * 10  # 524,928
    # Pictures are not trained, so that the first layer has no gradient by its input.
    assert step_flops(network_of("lab-1")) == 2 * (2 * convolution + 3 * dense) == 12_979_968


# By hand: the stem's 2x2 patches at 31x31 places, then three groups.
FIRST = 3 * 3 * 24 * 64 * 31**2
OTHERS = 9 * (64 * 64 * 15**2 + 64 * 256 * 15**2 + 2 * 256 * 256 * 7**2 + 256 * 256 * 3**2)
HEAD = 256 * 10


def test_of_frozen_filters_with_a_bias_that_is_trained(airbench: keras.Model) -> None:
    stem = 2 * 2 * 3 * 24 * 31**2
    assert step_flops(airbench) == 2 * (stem + 3 * (FIRST + OTHERS + HEAD))


def test_no_gradient_goes_further_than_what_is_trained(airbench: keras.Model) -> None:
    stem = 2 * 2 * 3 * 24 * 31**2
    flops = step_flops(airbench, lambda path: not path.startswith(STEM))
    assert flops == 2 * (stem + 2 * FIRST + 3 * (OTHERS + HEAD))


def test_where_nothing_is_trained_all_goes_forwards_only(airbench: keras.Model) -> None:
    every = sum(map(multiplications, airbench.layers))
    assert step_flops(airbench, lambda path: False) == 2 * every


def test_of_layers_side_by_side() -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    one = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")(x)
    two = keras.layers.Conv2D(4, 1, strides=2)(x)
    other = keras.layers.Conv2D(4, 1, strides=2)(inputs)  # sees nothing that is trained
    outputs = keras.layers.Add()([one, two, other])
    first, depthwise, pointwise = 9 * 3 * 4 * 64, 9 * 4 * 16, 4 * 4 * 16
    count = 2 * first + 3 * depthwise + 3 * pointwise + 2 * (3 * 4 * 16)
    assert step_flops(keras.Model(inputs, outputs)) == 2 * count
