"""The network of the speed record, and what it starts from."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import erf

from tenfold.errors import RecipeError
from tenfold.models import STEM, build_network, fast, layers_of_interest, whiten
from tenfold.models.airbench import partial_identity
from tenfold.models.model_file import check_model_file
from tenfold.models.whitening import sample, whitening_filters
from tenfold.recipe import ModelSection, load_recipe


def network_of(size: int = 32, **settings: Any) -> keras.Model:
    return build_network(ModelSection(name="airbench"), size=size, classes=10, **settings)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return network_of()


def test_weights_are_as_many_as_the_published_layers_have(network: keras.Model) -> None:
    channels = [24, 64, 64, 256, 256, 256, 256]
    filters = sum(9 * a * b for a, b in itertools.pairwise(channels))
    biases = 24 + sum(channels[1:])
    assert sum(v.numpy().size for v in network.trainable_variables) == filters + biases + 2560
    # Of the layers that have more, the rest is not trained.
    frozen = {v.path for v in network.weights} - {v.path for v in network.trainable_variables}
    assert f"{STEM}/kernel" in frozen
    assert sum("gamma" in path for path in frozen) == 6


def test_sides_are_those_of_the_published_network(network: keras.Model) -> None:
    sides = [network.get_layer(f"group_{n}_conv_{m}").output.shape[1] for n in (1, 2, 3)
             for m in (1, 2)]  # fmt: skip
    assert (network.get_layer(STEM).output.shape[1], sides) == (31, [31, 15, 15, 7, 7, 3])


def test_layers_of_interest_exist(network: keras.Model) -> None:
    for layer in layers_of_interest("airbench"):
        assert network.get_layer(layer).output is not None


def test_the_activation_is_near_gelu() -> None:
    x = np.linspace(-6, 6, 1001)
    gelu = x * (1 + erf(x / np.sqrt(2))) / 2

    def far(sharpness: float) -> float:
        ours = keras.activations.hard_silu(keras.ops.convert_to_tensor(sharpness * x)) / sharpness
        return float(np.abs(ours - gelu).max())

    assert far(2) < 0.11 < far(1)


def test_pictures_that_are_too_small_are_refused_in_one_line() -> None:
    assert network_of(9).get_layer("pool").input.shape[1:3] == (1, 1)
    with pytest.raises(RecipeError, match=r"9x9 or more, not 8x8; set data\.size=32"):
        network_of(8)


def test_convolutions_start_as_the_identity_on_as_many_channels_as_there_are() -> None:
    x = np.random.default_rng(0).random((2, 5, 5, 4), np.float32)
    kernel = partial_identity((3, 3, 4, 9), 1)
    y = tf.nn.conv2d(x, kernel, 1, "SAME").numpy()
    np.testing.assert_array_equal(y[..., :4], x)
    others = np.asarray(kernel)[..., 4:]
    assert np.abs(others).max() <= 1 / 6
    assert others.std() == pytest.approx(1 / 6 / np.sqrt(3), rel=0.2)
    np.testing.assert_array_equal(kernel, partial_identity((3, 3, 4, 9), 1))
    assert not np.array_equal(kernel, partial_identity((3, 3, 4, 9), 2))


def test_whitened_patches_are_uncorrelated_and_of_variance_one() -> None:
    random = np.random.default_rng(0)
    smooth = random.normal(size=(40, 4, 4, 3)).repeat(3, axis=1).repeat(3, axis=2)
    pictures = (smooth + 0.3 * random.normal(size=smooth.shape)).astype(np.float32)
    filters = whitening_filters(pictures, 2)
    assert filters.shape == (2, 2, 3, 24)
    patches = np.array([
        p[y : y + 2, x : x + 2].ravel() for p in pictures for y in range(11) for x in range(11)
    ])  # fmt: skip
    responses = patches @ filters.reshape(12, 24)
    np.testing.assert_allclose(responses[:, :12], -responses[:, 12:], atol=1e-5)
    second_moments = responses[:, :12].T @ responses[:, :12] / len(patches)
    np.testing.assert_allclose(second_moments, np.eye(12), atol=0.01)


@pytest.mark.parametrize("count", [1, 7, 5000, 45_000, 50_001])
def test_pictures_of_all_parts_of_a_split_are_whitened_by(count: int) -> None:
    positions = sample(count)
    assert len(positions) == min(count, 5000)
    assert (positions[0], positions[-1]) == (0, count - 1)
    assert count == 1 or np.diff(positions).max() <= -(-count // 5000) + 1


def test_whitening_sets_the_first_layer_and_no_other_network() -> None:
    pictures = np.random.default_rng(0).random((8, 9, 9, 3), np.float32)
    network = network_of(9)
    before = [layer.get_weights() for layer in network.layers]
    whiten(network, pictures)
    changed = [
        layer.name
        for layer, old in zip(network.layers, before, strict=True)
        if not all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), old, strict=True))
    ]
    assert changed == [STEM]
    filters = network.get_layer(STEM).kernel.numpy()
    np.testing.assert_allclose(filters, 2 * whitening_filters(pictures, 2), rtol=1e-6)

    other = build_network(ModelSection(name="lab-1"), size=9, classes=3)
    weights = other.get_weights()
    whiten(other, pictures)
    for now, then in zip(other.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_saved_one_is_a_file_that_is_loaded(tmp_path: Any) -> None:
    network_of(9).save(tmp_path / "model.keras")
    check_model_file(tmp_path / "model.keras")


@pytest.mark.parametrize("size", [9, 20])  # whose sides are odd here and even there
def test_it_is_computed_as_stock_keras_would(size: int) -> None:
    network = network_of(size, seed=2)
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(6, size, size, 3)), tf.float32)
    target = tf.constant(random.normal(size=(6, 10)), tf.float32)
    statistics = [v.numpy() for v in network.non_trainable_variables]

    def step(function: Any) -> tuple[Any, list[Any], list[Any]]:
        for variable, value in zip(network.non_trainable_variables, statistics, strict=True):
            variable.assign(value)
        with tf.GradientTape() as tape:
            output = function(x)
            loss = tf.reduce_sum(output * target)
        gradients = tape.gradient(loss, [v.value for v in network.trainable_variables])
        return output, gradients, [v.numpy() for v in network.non_trainable_variables]

    assert fast.is_chain(network)
    stock = step(lambda x: network(x, training=True))
    ours = step(lambda x: fast.forward(network, x, training=True, last="probabilities"))
    np.testing.assert_allclose(ours[0], stock[0], rtol=1e-4, atol=1e-5)
    for mine, theirs in zip([*ours[1], *ours[2]], [*stock[1], *stock[2]], strict=True):
        scale = float(np.abs(theirs).max())
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4 * scale + 1e-7)


def test_fast_trains_it() -> None:
    recipe = load_recipe("fast")
    assert recipe.model.name == "airbench"
    assert recipe.optimizer.name == "muon-sgd"
