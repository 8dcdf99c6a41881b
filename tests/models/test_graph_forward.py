"""Fused batch normalization is Keras's own function, gradients and moving statistics included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tenfold.models import build_network, kernels
from tenfold.models.forward import forward_function
from tenfold.models.graph_forward import graph_forward
from tenfold.recipe import ModelSection

Arrays = list[Any]


def step(
    function: Callable[[Any], Any], network: keras.Model, x: Any, target: Any
) -> tuple[Any, Arrays, Arrays]:
    """Output, gradients of pictures and weights, and statistics after; the network stays as is."""
    before = [variable.numpy() for variable in network.variables]
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = function(x)
        loss = tf.reduce_sum(tf.cast(output, tf.float32) * target)
    gradients = tape.gradient(loss, [x, *(v.value for v in network.trainable_variables)])
    after = [variable.numpy() for variable in network.non_trainable_variables]
    for variable, value in zip(network.variables, before, strict=True):
        variable.assign(value)
    return output.numpy(), [gradient.numpy() for gradient in gradients], after


def normalizing(
    policy: str = "float32", shape: tuple[int, ...] = (5, 6, 3), **settings: Any
) -> keras.Model:
    """A network of one normalization, away from its trivial start."""
    inputs = keras.Input(shape)
    layer = keras.layers.BatchNormalization(dtype=policy, name="norm", **settings)
    network = keras.Model(inputs, layer(inputs))
    random = np.random.default_rng(1)
    for variable in network.variables:
        variable.assign(random.uniform(0.5, 2, variable.shape))
    return network


def assert_same_step(network: keras.Model, shape: tuple[int, ...], rtol: float = 1e-5) -> None:
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(3, 2, shape), tf.float32)
    target = tf.constant(random.normal(size=shape), tf.float32)
    forward = graph_forward(network, "norm")
    stock = step(lambda x: network(x, training=True), network, x, target)
    fused = step(lambda x: forward(x, True), network, x, target)
    for ours, theirs in zip(
        [fused[0], *fused[1], *fused[2]], [stock[0], *stock[1], *stock[2]], strict=True
    ):
        scale = float(np.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("pictures", [1, 7])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_training_step_is_that_of_stock_keras(pictures: int, momentum: float) -> None:
    assert_same_step(normalizing(momentum=momentum, epsilon=0.01), (pictures, 5, 6, 3))


def test_the_moving_variance_is_of_the_batch_itself() -> None:
    """Of 6 values here, where Bessel's correction would make it a fifth larger."""
    network = normalizing(shape=(1, 2, 3), momentum=0.5)
    x = np.random.default_rng(0).normal(size=(3, 1, 2, 3)).astype("float32")
    before = network.get_layer("norm").moving_variance.numpy()
    graph_forward(network, "norm")(x, True)
    after = network.get_layer("norm").moving_variance.numpy()
    np.testing.assert_allclose(after, (before + x.var(axis=(0, 1, 2))) / 2, rtol=1e-6)


def test_one_value_has_no_variance() -> None:
    network = normalizing(shape=(1, 1, 3), momentum=0.0)
    graph_forward(network, "norm")(np.ones((1, 1, 1, 3), "float32"), True)
    np.testing.assert_array_equal(network.get_layer("norm").moving_variance, np.zeros(3))


def test_in_bf16_it_is_as_near_as_bf16_allows() -> None:
    assert_same_step(normalizing("mixed_bfloat16"), (7, 5, 6, 3), rtol=0.02)


@pytest.mark.parametrize(
    "settings", [{"scale": False}, {"center": False}, {"axis": 1}, {"axis": 2}]
)
def test_what_the_fused_operation_cannot_do_is_left_to_keras(settings: dict[str, Any]) -> None:
    assert_same_step(normalizing(**settings), (7, 5, 6, 3))


def test_rows_are_left_to_keras() -> None:
    assert_same_step(normalizing(shape=(5,)), (7, 5))


@pytest.mark.parametrize("training", [True, False])
def test_a_frozen_layer_and_a_prediction_take_the_moving_statistics(training: bool) -> None:
    network = normalizing()
    network.get_layer("norm").trainable = not training
    x = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype("float32")
    before = [variable.numpy() for variable in network.variables]
    found = graph_forward(network, "norm")(x, training)
    np.testing.assert_allclose(found, network(x, training=False), rtol=1e-5, atol=1e-6)
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_whole_network_trains_as_by_stock_keras() -> None:
    network = build_network(ModelSection(name="resnet-20"), size=8, classes=5, seed=3)
    part = keras.Model(network.inputs[0], network.get_layer("logits").output)
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(24, 8, 8, 3)), tf.float32)
    target = tf.constant(random.normal(size=(24, 5)), tf.float32)
    forward = forward_function(network, "logits")
    stock = step(lambda x: part(x, training=True), network, x, target)
    fused = step(lambda x: forward(x, True), network, x, target)
    np.testing.assert_allclose(fused[0], stock[0], rtol=0, atol=1e-5 * np.abs(stock[0]).max())
    for ours, theirs in zip(fused[1:], stock[1:], strict=True):
        # What is 0 but for rounding has no scale of its own: one for all of a kind.
        scale = max(float(np.abs(array).max()) for array in theirs)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * scale)


def test_dropout_acts_in_training_only_and_layers_may_be_shared() -> None:
    inputs = keras.Input((4, 4, 3))
    dropout = keras.layers.Dropout(0.5, seed=1)
    conv = keras.layers.Conv2D(3, 3, padding="same")
    x = keras.layers.Add()([conv(conv(inputs)), inputs])
    network = keras.Model(inputs, keras.layers.Concatenate(name="last")([dropout(x), x]))
    forward = graph_forward(network, "last")
    pictures = tf.random.stateless_normal((2, 4, 4, 3), (1, 2))
    trained, predicted = forward(pictures, True), forward(pictures, False)
    np.testing.assert_array_equal(predicted, network(pictures, training=False))
    np.testing.assert_allclose(predicted[..., :3], predicted[..., 3:])
    assert 0.2 < float(tf.reduce_mean(tf.cast(trained[..., :3] == 0, tf.float32))) < 0.8


@pytest.mark.parametrize(
    ("side", "channels", "policy", "own"),
    [
        (8, 128, "mixed_bfloat16", 1),
        (9, 128, "mixed_bfloat16", 0),
        (8, 127, "mixed_bfloat16", 0),
        (8, 128, "float32", 0),
    ],
)
def test_small_convolutions_in_bfloat16_have_a_gradient_of_their_own(
    side: int, channels: int, policy: str, own: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = keras.Input((side, side, channels))
    layer = keras.layers.Conv2D(128, 3, padding="same", use_bias=False, dtype=policy, name="conv")
    network = keras.Model(inputs, layer(inputs))
    x = tf.random.stateless_normal((2, side, side, channels), (0, 1))
    convolutions = []
    stock = kernels.conv2d

    def counting(x: Any, kernel: Any) -> Any:
        convolutions.append(x.shape)
        return stock(x, kernel)

    monkeypatch.setattr(kernels, "conv2d", counting)
    found = graph_forward(network, "conv")(x, True)
    assert len(convolutions) == own
    np.testing.assert_array_equal(found, network(x))
