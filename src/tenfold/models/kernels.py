"""Layers that TensorFlow's CPU kernels compute slowly or in much memory, in another way.

XLA makes one loop of each function, forwards and backwards. The values are those of the stock
layers; where equal maxima share a window, the gradient goes to the first of them, as in stock.

This module is TensorFlow only.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Of values that no window has: the last row or column of an odd number.
_NO_PLACE = 4


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
    """2x2 max pooling of stride 2, (N, H, W, C) to (N, H // 2, W // 2, C).

    For the gradient, a byte for each window is kept, and not the pictures themselves.
    """
    height, width = x.shape[1], x.shape[2]
    y, place = _max_pool(x)

    def gradient(upstream: Any) -> Any:
        return _max_pool_gradient(place, upstream, height, width)

    return y, gradient


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _max_pool(x: Any) -> tuple[Any, Any]:
    """The maximum of each window, and which of its four values it is, row by row, int8."""
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    top_left, top_right, bottom_left, bottom_right = (
        x[:, row:height:2, column:width:2] for row in (0, 1) for column in (0, 1)
    )
    top, bottom = tf.maximum(top_left, top_right), tf.maximum(bottom_left, bottom_right)
    places = [tf.constant(place, tf.int8) for place in range(4)]
    in_top = tf.where(top_left >= top_right, places[0], places[1])
    in_bottom = tf.where(bottom_left >= bottom_right, places[2], places[3])
    return tf.maximum(top, bottom), tf.where(top >= bottom, in_top, in_bottom)


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _max_pool_gradient(place: Any, upstream: Any, height: int, width: int) -> Any:
    # Each value looks up its window. To write each window's four values instead, interleaved with
    # those of its neighbours, takes XLA ten times as long.
    rows, columns = np.arange(height), np.arange(width)
    own_place = (2 * (rows % 2)[:, None] + columns % 2).astype(np.int8)
    own_place[height // 2 * 2 :] = own_place[:, width // 2 * 2 :] = _NO_PLACE

    def of_each_value(of_windows: Any) -> Any:
        for axis, positions in ((1, rows), (2, columns)):
            windows = np.minimum(positions // 2, of_windows.shape[axis] - 1)
            of_windows = tf.gather(of_windows, windows, axis=axis)
        return of_windows

    is_largest = of_each_value(place) == own_place[None, :, :, None]
    return tf.where(is_largest, of_each_value(upstream), tf.zeros((), upstream.dtype))


def is_same_convolution(layer: keras.Layer) -> bool:
    """Whether a layer is a convolution as `conv2d` computes it, but for bias and activation."""
    return (
        type(layer) is keras.layers.Conv2D
        and len(set(layer.kernel_size)) == 1
        and layer.kernel_size[0] % 2 == 1
        and layer.strides == (1, 1)
        and layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.padding == "same"
    )


@tf.custom_gradient  # type: ignore[untyped-decorator]
def conv2d(x: Any, kernel: Any) -> Any:
    """Same-padded convolution of stride 1, (N, H, W, C) and (k, k, C, F) to (N, H, W, F); k odd.

    The kernel's gradient is a product of matrices for each of its rows: the row's part of all
    windows, (N * H * W, k * C), and what reaches the outputs, (N * H * W, F). Where pictures are
    small and channels many, that takes half to four fifths of the time of the stock kernel, which
    is built for large pictures.
    """

    def gradient(upstream: Any) -> tuple[Any, Any]:
        for_x = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x),
            filter=kernel,
            out_backprop=upstream,
            strides=[1, 1, 1, 1],
            padding="SAME",
        )
        return for_x, _kernel_gradient(x, upstream, kernel.shape[0])

    return tf.nn.conv2d(x, kernel, 1, "SAME"), gradient


def _kernel_gradient(x: Any, upstream: Any, size: int) -> Any:
    """(size, size, C, F), a row of the kernel at a time, so that fewer windows are in memory."""
    height, width, margin = x.shape[1], x.shape[2], size // 2
    padded = tf.pad(x, [[0, 0], [margin, margin], [margin, margin], [0, 0]])
    windows = tf.concat([padded[:, :, start : start + width] for start in range(size)], axis=-1)
    outputs = tf.reshape(upstream, (-1, upstream.shape[-1]))
    rows = []
    for start in range(size):
        inputs = tf.reshape(windows[:, start : start + height], (-1, windows.shape[-1]))
        rows.append(tf.matmul(inputs, outputs, transpose_a=True))
    return tf.reshape(tf.stack(rows), (size, size, x.shape[-1], upstream.shape[-1]))
