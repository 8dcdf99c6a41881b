"""The stronger networks are those of their papers, counted by hand, for any picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from tenfold.errors import RecipeError
from tenfold.models import (
    architectures,
    build_network,
    check_section,
    check_small_size,
    layers_of_interest,
)
from tenfold.models.model_file import check_model_file
from tenfold.recipe import ModelSection, load_recipe

OWN_TESTS = ("lab-1", "lab-2", "airbench")
NETWORKS = tuple(name for name in architectures() if name not in OWN_TESTS)


def network_of(name: str, size: int = 8, **settings: Any) -> keras.Model:
    section = ModelSection(name=name, **settings.pop("section", {}))
    return build_network(section, size=size, classes=settings.pop("classes", 10), **settings)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> keras.Model:
    built = network_of(request.param, size=9, seed=1)
    assert built.name == request.param
    return built


# --- Weights, by plain arithmetic of the papers' tables ------------------------------------------


def conv(side: int, given: int, channels: int, groups: int = 1) -> int:
    """A convolution without bias, and the scale and centre behind it."""
    return side * side * given * channels // groups + 2 * channels


def residual(channels: list[int], blocks: int) -> int:
    total = conv(3, 3, channels[0])
    given = channels[0]
    for width in channels:
        for block in range(blocks):
            total += conv(3, given if block == 0 else width, width) + conv(3, width, width)
        if given != width:
            total += conv(1, given, width)
        given = width
    return total + given * 10 + 10


def wide() -> int:
    total, given = 3 * 3 * 3 * 16, 16
    for width in (64, 128, 256):
        total += 2 * given + 9 * given * width + 2 * width + 9 * width * width + given * width
        total += 2 * (2 * width + 9 * width * width)
        given = width
    return total + 2 * 256 + 256 * 10 + 10


def mobile() -> int:
    total, given = conv(3, 3, 32), 32
    table = "1 16 1, 6 24 2, 6 32 3, 6 64 4, 6 96 3, 6 160 3, 6 320 1"
    for row in table.split(", "):
        expansion, width, blocks = (int(number) for number in row.split())
        for _ in range(blocks):
            inner = expansion * given
            total += conv(1, given, inner) if expansion > 1 else 0
            total += conv(3, inner, inner, groups=inner) + conv(1, inner, width)
            given = width
    return total + conv(1, 320, 1280) + 1280 * 10 + 10


def inception() -> int:
    table = """64 96 128 16 32 32, 128 128 192 32 96 64, 192 96 208 16 48 64, 160 112 224 24 64 64,
        128 128 256 24 64 64, 112 144 288 32 64 64, 256 160 320 32 128 128, 256 160 320 32 128 128,
        384 192 384 48 128 128"""
    total, given = conv(3, 3, 192), 192
    for row in table.split(","):
        one, reduce_3, three, reduce_5, five, pool = (int(number) for number in row.split())
        total += conv(1, given, one) + conv(1, given, reduce_3) + conv(3, reduce_3, three)
        total += conv(1, given, reduce_5) + conv(3, reduce_5, five) + conv(3, five, five)
        total += conv(1, given, pool)
        given = one + three + five + pool
    return total + given * 10 + 10


WEIGHTS = {  # counted, and as published
    "resnet-20": (residual([16, 32, 64], 3), 0.27e6),  # table 6 of the paper
    "resnet-18": (residual([64, 128, 256, 512], 2), 11.17e6),
    "wrn-16-4": (wide(), 2.7e6),  # table 3 of the paper
    "mobilenet-v2": (mobile(), 2.24e6),  # 3.5M in the paper, 1.3M of them for 1,000 classes
    "googlenet": (inception(), 6.16e6),
}


def test_weights_are_as_many_as_the_papers_table_makes(network: keras.Model) -> None:
    counted, published = WEIGHTS[network.name]
    assert sum(v.numpy().size for v in network.trainable_variables) == counted
    assert counted == pytest.approx(published, rel=0.02)


# --- What all of them promise ---------------------------------------------------------------------


def test_pictures_become_probabilities(network: keras.Model) -> None:
    pictures = np.random.default_rng(0).random((3, 9, 9, 3), np.float32)
    found = network.predict_on_batch(pictures)
    assert found.shape == (3, 10)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert [layer.name for layer in network.layers[-2:]] == ["logits", "probabilities"]


def test_layers_of_interest_exist(network: keras.Model) -> None:
    for layer in layers_of_interest(network.name):
        assert network.get_layer(layer).output is not None


def convolutions(network: keras.Model) -> Iterator[keras.Layer]:
    kinds = keras.layers.Conv2D, keras.layers.DepthwiseConv2D
    return (layer for layer in network.layers if isinstance(layer, kinds))


def test_kernels_keep_the_variance_of_gradients(network: keras.Model) -> None:
    """He normal by fan-out: each output channel's kernel is seen by side * side * channels."""
    scaled = []
    for layer in convolutions(network):
        kernel = layer.kernel.numpy()
        fan_out = np.prod(kernel.shape[:2]) * kernel.shape[3]
        scaled.append((kernel * np.sqrt(fan_out / 2)).ravel())
    values = np.concatenate(scaled)
    assert values.std() == pytest.approx(1, abs=0.02)
    assert np.abs(values).max() > 2.5  # not truncated
    assert all(values.std() == pytest.approx(1, abs=0.2) for values in scaled)


def test_every_convolution_is_normalized_at_the_pace_of_short_trainings(
    network: keras.Model,
) -> None:
    norms = [v for v in network.layers if isinstance(v, keras.layers.BatchNormalization)]
    assert {norm.momentum for norm in norms} == {0.9}
    assert not any(layer.use_bias for layer in convolutions(network))


def test_a_saved_one_is_a_file_that_is_loaded(network: keras.Model, tmp_path: Any) -> None:
    network.save(tmp_path / "model.keras")
    check_model_file(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("name", "size", "left"),
    [
        *(("resnet-20", size, left) for size, left in ((4, 1), (8, 2), (32, 8), (33, 9))),
        *(("mobilenet-v2", size, left) for size, left in ((4, 1), (32, 4))),
        *(("resnet-18", 33, 5), ("wrn-16-4", 33, 9), ("googlenet", 33, 9)),
    ],
)
def test_sides_are_halved_twice_or_three_times_rounding_up(name: str, size: int, left: int) -> None:
    assert network_of(name, size=size).get_layer("pooled").input.shape[1:3] == (left, left)


def test_the_seed_decides_the_initial_weights_and_no_two_layers_share_theirs() -> None:
    def kernels(seed: int) -> list[Any]:
        return [v.kernel.numpy() for v in convolutions(network_of("resnet-20", seed=seed))]

    one, again, other = kernels(4), kernels(4), kernels(5)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    alike = [kernel for kernel in one if kernel.shape == (3, 3, 16, 16)]
    assert len({kernel.tobytes() for kernel in alike}) == len(alike) == 6


def test_bf16_computes_in_bfloat16_up_to_the_logits() -> None:
    network = network_of("mobilenet-v2", precision="bf16")
    assert {layer.compute_dtype for layer in network.layers[1:-2]} == {"bfloat16"}
    assert {layer.compute_dtype for layer in network.layers[-2:]} == {"float32"}
    assert {variable.dtype for variable in network.trainable_variables} == {"float32"}


# --- The shapes that tell one network from another ------------------------------------------------


def test_a_residual_block_adds_what_went_in() -> None:
    network = network_of("resnet-20")
    for name in ("stage_1_2_second_norm", "stage_2_1_second_norm"):
        network.get_layer(name).gamma.assign(np.zeros(network.get_layer(name).gamma.shape))
    names = "stage_1_1_relu", "stage_1_2_relu", "stage_2_1_shortcut_norm", "stage_2_1_sum"
    part = keras.Model(network.inputs[0], [network.get_layer(name).output for name in names])
    before, after, shortcut, total = part(np.random.default_rng(0).random((2, 8, 8, 3), np.float32))
    np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(shortcut, total)


def test_a_bottleneck_is_linear_and_added_only_where_its_shape_stays() -> None:
    network = network_of("mobilenet-v2")
    sums = [v.name for v in network.layers if isinstance(v, keras.layers.Add)]
    assert sums == [f"block_{number}_sum" for number in (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)]
    relus = [v for v in network.layers if isinstance(v, keras.layers.ReLU)]
    assert not any("project" in relu.name for relu in relus)
    assert {float(relu.max_value) for relu in relus} == {6.0}


def test_a_wide_block_is_activated_beforehand() -> None:
    network = network_of("wrn-16-4", section={"dropout": 0.3})
    order = [v.name for v in network.layers if v.name.startswith("group_1_2")]
    parts = "first_norm first_relu first_conv second_norm second_relu dropout second_conv sum"
    assert order == [f"group_1_2_{part}" for part in parts.split()]


def test_an_inception_has_four_ways_side_by_side() -> None:
    network = network_of("googlenet")
    module = network.get_layer("inception_4b")
    assert [tensor.shape[-1] for tensor in module.input] == [160, 224, 64, 64]
    assert network.get_layer("before_4a").input.shape[-1] == 480


# --- The settings of a recipe ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["googlenet", "mobilenet-v2", "wrn-16-4"])
def test_dropout_acts_where_the_recipe_asks_for_it(name: str) -> None:
    network = network_of(name, section={"dropout": 0.3})
    assert {v.rate for v in network.layers if isinstance(v, keras.layers.Dropout)} == {0.3}


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("resnet-20", "dropout", 0.4),
        ("resnet-18", "dropout", 0.1),
        ("googlenet", "initial_weights", "unit-normal"),
        ("wrn-16-4", "batch_norm", "frozen"),
        ("mobilenet-v2", "conv_activation", "selu"),
        ("lab-1", "conv_activation", "selu"),
    ],
)
def test_a_setting_that_a_network_has_not_is_refused(name: str, setting: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=rf"model\.{setting}: {name} has no such choice; .* set"):
        network_of(name, section={setting: value})


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [("lab-1", 16, "one size only"), ("lab-2", 8, "one size only"), ("airbench", 8, "9 pixels or")],
)
def test_smaller_pictures_are_refused_where_the_network_cannot_take_them(
    name: str, size: int, reason: str
) -> None:
    with pytest.raises(RecipeError, match=rf"training\.small_size: {name} .*{reason}"):
        check_small_size(name, size)
    check_small_size(name, None)
    check_small_size("resnet-20", size)


def test_only_the_labs_networks_have_dropout_unasked() -> None:
    rates = {name: ModelSection(name=name).dropout for name in architectures()}
    assert {name for name, rate in rates.items() if rate} == {"lab-1", "lab-2"}


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_has_a_recipe_of_its_name_with_settings_that_it_takes(name: str) -> None:
    section = load_recipe(name).model
    assert section.name == name
    check_section(section)
