"""Layers that TensorFlow's CPU kernels compute slowly, in fewer passes over memory.

XLA makes one loop of each function, forwards and backwards. The values are those of the stock
layers; where equal maxima share a window, the gradient goes to the first of them, as in stock.

This module is TensorFlow only.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


@tf.custom_gradient  # type: ignore[untyped-decorator]
def hard_silu(x: Any) -> Any:
    """``x * relu6(x + 3) / 6`` (Howard et al., 2019, "hard swish"), of any shape."""

    def gradient(upstream: Any) -> Any:
        return _hard_silu_gradient(x, upstream)

    return _hard_silu(x), gradient


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _hard_silu(x: Any) -> Any:
    return x * tf.clip_by_value(x / 6 + 0.5, 0, 1)


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _hard_silu_gradient(x: Any, upstream: Any) -> Any:
    inside = tf.where(x < 3, x / 3 + 0.5, tf.ones((), x.dtype))
    return upstream * tf.where(x > -3, inside, tf.zeros((), x.dtype))


@tf.custom_gradient  # type: ignore[untyped-decorator]
def max_pool(x: Any) -> Any:
    """2x2 max pooling of stride 2, (N, H, W, C) to (N, H // 2, W // 2, C)."""
    y = _max_pool(x)

    def gradient(upstream: Any) -> Any:
        return _max_pool_gradient(x, y, upstream)

    return y, gradient


def _corners(x: Any) -> list[Any]:
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    return [x[:, row:height:2, column:width:2] for row in (0, 1) for column in (0, 1)]


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _max_pool(x: Any) -> Any:
    first, second, third, fourth = _corners(x)
    return tf.maximum(tf.maximum(first, second), tf.maximum(third, fourth))


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _max_pool_gradient(x: Any, y: Any, upstream: Any) -> Any:
    taken = tf.zeros_like(y, tf.bool)
    parts = []
    for corner in _corners(x):
        here = (corner == y) & ~taken
        taken |= here
        parts.append(tf.where(here, upstream, tf.zeros((), x.dtype)))
    rows = [tf.stack(parts[row : row + 2], axis=3) for row in (0, 2)]
    n, height, width, channels = tf.shape(y)[0], y.shape[1], y.shape[2], y.shape[3]
    whole = tf.reshape(tf.stack(rows, axis=2), (n, 2 * height, 2 * width, channels))
    edges = [[0, 0], [0, x.shape[1] % 2], [0, x.shape[2] % 2], [0, 0]]
    return tf.pad(whole, edges)
