"""The fast forward pass is the network's own function, gradients included."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tenfold.models import build_network, fast, kernels
from tenfold.recipe import ModelSection


def gradients(function, network, x, target):
    with tf.GradientTape() as tape:
        output = function(x)
        loss = tf.reduce_sum(output * target)
    return output, tape.gradient(loss, network.trainable_variables)


@pytest.mark.parametrize(
    ("name", "activation"), [("lab-1", "relu"), ("lab-2", "relu"), ("lab-2", "selu")]
)
@pytest.mark.parametrize("size", [8, 9, 32])
def test_outputs_and_gradients_equal_those_of_stock_keras(name, size, activation):
    section = ModelSection(name=name, dropout=0.0, conv_activation=activation)
    network = build_network(section, size=size, classes=7, seed=3)
    random = np.random.default_rng(0)
    for variable in network.weights:  # biases and batch-norm weights away from their trivial start
        shape = variable.shape
        variable.assign(variable + 0.05 * np.abs(random.normal(size=shape)).astype("float32"))
    x = tf.constant(random.random((6, size, size, 3)), tf.float32)
    target = tf.constant(random.normal(size=(6, 7)), tf.float32)
    statistics = [v.numpy() for v in network.non_trainable_variables]

    stock, stock_gradients = gradients(lambda x: network(x, training=True), network, x, target)
    after_stock = [v.numpy() for v in network.non_trainable_variables]
    for variable, value in zip(network.non_trainable_variables, statistics, strict=True):
        variable.assign(value)
    quick, quick_gradients = gradients(
        lambda x: fast.forward(network, x, training=True, last="probabilities"), network, x, target
    )
    after_quick = [v.numpy() for v in network.non_trainable_variables]

    np.testing.assert_allclose(quick, stock, rtol=1e-4, atol=1e-5)
    # A bias just before batch normalization has no gradient but rounding: one scale for them all.
    scale = max(float(np.abs(theirs).max()) for theirs in stock_gradients)
    for ours, theirs in zip(quick_gradients, stock_gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * scale)
    for ours, theirs in zip(after_quick, after_stock, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("precision", "expected"), [("bf16", [7, 7, 3]), ("float32", [])])
def test_small_maps_have_their_own_convolution_in_bfloat16(monkeypatch, precision, expected):
    network = build_network(ModelSection(name="airbench"), size=32, classes=7, precision=precision)
    sides = []
    convolution = kernels.conv2d
    monkeypatch.setattr(
        kernels, "conv2d", lambda x, kernel: sides.append(x.shape[1]) or convolution(x, kernel)
    )
    fast.forward(network, tf.zeros((2, 32, 32, 3)), training=True, last="probabilities")
    assert sides == expected


def test_a_flat_picture_gives_each_tied_maximum_its_share():
    y = tf.ones((1, 1, 1, 4, 2))
    with tf.GradientTape() as tape:
        tape.watch(y)
        total = tf.reduce_sum(fast._max_over_groups(y))
    np.testing.assert_allclose(tape.gradient(total, y), np.full((1, 1, 1, 4, 2), 0.25))


def test_evaluation_leaves_dropout_out_and_statistics_alone():
    network = build_network(ModelSection(name="lab-2"), size=8, classes=3)
    x = tf.random.stateless_uniform((4, 8, 8, 3), (1, 2))
    before = [v.numpy() for v in network.non_trainable_variables]
    quick = fast.forward(network, x, training=False, last="probabilities")
    np.testing.assert_allclose(quick, network(x, training=False), rtol=1e-4, atol=1e-6)
    for variable, value in zip(network.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize("name", ["lab-1", "lab-2"])
def test_the_lab_networks_are_chains(name):
    assert fast.is_chain(build_network(ModelSection(name=name), size=8, classes=3))


def test_a_branching_network_is_not_a_chain():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(3, 3, padding="same")(inputs)
    model = keras.Model(inputs, keras.layers.Add()([inputs, x]))
    assert not fast.is_chain(model)
