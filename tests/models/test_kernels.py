"""Layers in fewer passes are the stock layers, gradients included."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tenfold.models import kernels


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (3, 7, 5, 2), (1, 2, 3, 1)])
def test_max_pooling(shape: tuple[int, ...], dtype: tf.DType) -> None:
    random = np.random.default_rng(0)
    # Few values, so that many windows have equal maxima: the first of them has the gradient.
    x = tf.constant(random.integers(0, 3, shape), dtype)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours, stock = kernels.max_pool(x), tf.nn.max_pool2d(x, 2, 2, "VALID")
        weights = tf.constant(random.integers(1, 50, stock.shape), dtype)
        total, stock_total = tf.reduce_sum(ours * weights), tf.reduce_sum(stock * weights)
    np.testing.assert_array_equal(ours, stock)
    np.testing.assert_array_equal(tape.gradient(total, x), tape.gradient(stock_total, x))


@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (3, 5, 5, 2), (1, 1, 2, 1)])
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_convolution(shape: tuple[int, ...], size: int, dtype: tf.DType) -> None:
    random = np.random.default_rng(0)
    # Whole numbers, so small that sums are exact in whatever order and in eight bits.
    x = tf.constant(random.integers(-1, 2, shape), dtype)
    kernel = tf.constant(random.integers(-1, 2, (size, size, shape[-1], 4)), dtype)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((x, kernel))
        ours, stock = kernels.conv2d(x, kernel), tf.nn.conv2d(x, kernel, 1, "SAME")
        weights = tf.constant(random.integers(-1, 2, stock.shape), dtype)
        total, stock_total = tf.reduce_sum(ours * weights), tf.reduce_sum(stock * weights)
    np.testing.assert_array_equal(ours, stock)
    for own, expected in zip(
        tape.gradient(total, (x, kernel)), tape.gradient(stock_total, (x, kernel)), strict=True
    ):
        np.testing.assert_array_equal(own, expected)


def test_hard_silu() -> None:
    x = tf.constant(np.linspace(-5, 5, 1000), tf.float32)  # not at -3 and 3, where it has a kink
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours, stock = kernels.hard_silu(x), keras.activations.hard_silu(x)
        weighted, stock_weighted = ours * x, stock * x
    np.testing.assert_allclose(ours, stock, atol=1e-6)
    np.testing.assert_allclose(
        tape.gradient(weighted, x), tape.gradient(stock_weighted, x), atol=1e-5
    )


def test_hard_silu_keeps_to_bfloat16() -> None:
    x = tf.constant(np.linspace(-5, 5, 100), tf.bfloat16)
    y = kernels.hard_silu(x)
    assert y.dtype == tf.bfloat16
    exact = keras.activations.hard_silu(tf.cast(x, tf.float32))
    np.testing.assert_allclose(tf.cast(y, tf.float32), exact, atol=0.02)
