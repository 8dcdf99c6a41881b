"""The same networks in fewer CPU cycles: identical functions, computed in another order.

Stock Keras spends most of a lab network's training step in three operations that TensorFlow's CPU
kernels do badly: a convolution with three input channels, the gradient of max pooling, and the two
gradients of a convolution. Here

- a convolution followed by 2x2 max pooling is computed on 2x2 blocks of pixels. Four neighbouring
  outputs become four groups of channels of one 3x3 convolution over blocks, a shape that runs near
  the machine's peak, and the pooling becomes a maximum over those groups. Bias and activation come
  after the maximum, on a quarter of the values: both never decrease, so the result is the same;
- the gradients of a convolution are computed as convolutions, which the forward kernel does faster
  than the backward kernels do.

The weights are those of the network's own layers, so nothing is copied, and saving, exporting and
inspecting see stock Keras. ``benchmarks/`` measures what this gains.

This module is TensorFlow only. What it does not know, it leaves to the layer itself.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tenfold.models import kernels, small_maps
from tenfold.models.graph_forward import batch_norm, is_fusible

# oneDNN's convolution kernels work on blocks of channels; fewer are slow, so they are padded to it.
_CHANNEL_BLOCK = 16
# Above this, a convolution is fast as it is, and its block form would only add operations.
_FEW_CHANNELS = 4
_NEVER_DECREASING = ("relu", "selu")


def is_chain(network: keras.Model) -> bool:
    """Whether each layer's only input is the layer before it."""
    for previous, layer in zip(network.layers, network.layers[1:], strict=False):
        inputs = [tensor for node in layer._inbound_nodes for tensor in node.input_tensors]
        if [tensor._keras_history.operation for tensor in inputs] != [previous]:
            return False
    return True


def forward(network: keras.Model, x: Any, *, training: bool, last: str) -> Any:
    """The output of the layer called ``last`` in a chain of layers.

    Args:
        network: a model for which `is_chain` holds.
        x: pictures, float (N, size, size, 3).
        training: whether dropout acts and batch normalization uses the batch's statistics.
        last: name of the layer to stop after; not a convolution.
    """
    layers = network.layers[1:]  # the first is the input
    stop = [layer.name for layer in layers].index(last) + 1
    position = 0
    while position < stop:
        layer, after = layers[position], layers[position + 1 : position + 2]
        if after and _fits_blocks(layer, after[0], x):
            x = _conv_then_pool(layer, x)
            position += 2
            continue
        if kernels.is_same_convolution(layer) and layer.use_bias:
            x = _conv(layer, x)
        elif small_maps.has_small_maps(layer, x):
            x = small_maps.convolution(layer, x)
        elif type(layer) is keras.layers.MaxPooling2D and _is_plain_pool(layer):
            x = kernels.max_pool(x)
        elif type(layer) is keras.layers.Activation and layer.activation.__name__ == "hard_silu":
            x = kernels.hard_silu(x)
        elif is_fusible(layer, x):
            x = batch_norm(layer, training and layer.trainable, x)
        elif isinstance(layer, keras.layers.Dropout | keras.layers.BatchNormalization):
            x = layer(x, training=training)
        else:
            x = layer(x)
        position += 1
    return x


def _is_plain_pool(pool: keras.Layer) -> bool:
    """Of 2x2 pixels that do not overlap; what is left over at the edges is left out."""
    return bool(pool.pool_size == (2, 2) and pool.strides == (2, 2) and pool.padding == "valid")


def _fits_blocks(conv: keras.Layer, pool: keras.Layer, x: Any) -> bool:
    """Whether the two layers can be computed together on 2x2 blocks."""
    return (
        kernels.is_same_convolution(conv)
        and conv.use_bias
        and conv.kernel_size[0] % 4 == 1  # so that half the kernel is a whole number of blocks
        and conv.activation.__name__ in _NEVER_DECREASING
        and x.shape[-1] <= _FEW_CHANNELS
        and x.shape[1] % 2 == 0
        and x.shape[2] % 2 == 0
        and type(pool) is keras.layers.MaxPooling2D
        and pool.pool_size == (2, 2)
        and pool.strides == (2, 2)
    )


def _conv_then_pool(conv: keras.Layer, x: Any) -> Any:
    """Convolution, bias, activation and 2x2 max pooling: (N, H, W, C) to (N, H/2, W/2, F)."""
    x, kernel, bias = (tf.cast(value, conv.compute_dtype) for value in (x, conv.kernel, conv.bias))
    blocks = tf.nn.space_to_depth(x, 2)
    kernel = _kernel_over_blocks(kernel)
    missing = -blocks.shape[-1] % _CHANNEL_BLOCK
    blocks = tf.pad(blocks, [[0, 0], [0, 0], [0, 0], [0, missing]])
    kernel = tf.pad(kernel, [[0, 0], [0, 0], [0, missing], [0, 0]])
    # The blocks are pixels, so only the kernel's gradient is computed: TensorFlow's own is fastest.
    y = tf.nn.conv2d(blocks, kernel, 1, "SAME")
    y = tf.reshape(y, (-1, y.shape[1], y.shape[2], 4, conv.filters))
    return conv.activation(_max_over_groups(y) + bias)


def _kernel_over_blocks(kernel: Any) -> Any:
    """A (k, k, C, F) kernel over pixels as a (k//2+1, k//2+1, 4C, 4F) kernel over 2x2 blocks.

    The four outputs of a block see one window of (k+1) x (k+1) pixels, each at its own offset: the
    kernel is padded to that window at each offset, and the window is cut into blocks.
    """
    size, _, channels, filters = kernel.shape
    half = (size + 1) // 2
    offsets = [(row, column) for row in (0, 1) for column in (0, 1)]
    shifted = [
        tf.pad(kernel, [[row, 1 - row], [column, 1 - column], [0, 0], [0, 0]])
        for row, column in offsets
    ]
    window = tf.reshape(
        tf.stack(shifted, axis=3), (half, 2, half, 2, channels, len(offsets) * filters)
    )
    by_block = tf.transpose(window, (0, 2, 1, 3, 4, 5))
    return tf.reshape(by_block, (half, half, 4 * channels, len(offsets) * filters))


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _max_over_groups(y: Any) -> Any:
    """Maximum over the next to last axis; equal maxima share the gradient."""
    largest = tf.reduce_max(y, axis=-2)

    def gradient(upstream: Any) -> Any:
        is_largest = tf.equal(y, tf.expand_dims(largest, -2))
        count = tf.reduce_sum(tf.cast(is_largest, y.dtype), axis=-2)
        share = tf.expand_dims(upstream / count, -2)
        return tf.where(is_largest, share, tf.zeros((), y.dtype))

    return largest, gradient


def _conv(conv: keras.Layer, x: Any) -> Any:
    """A plain convolution with bias and activation, its gradients computed as convolutions."""
    x, kernel, bias = (tf.cast(value, conv.compute_dtype) for value in (x, conv.kernel, conv.bias))
    return conv.activation(tf.nn.bias_add(_conv2d(x, kernel), bias))


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _conv2d(x: Any, kernel: Any) -> Any:
    """Same-padded convolution of stride 1 with an odd square kernel."""
    margin = kernel.shape[0] // 2

    def gradient(upstream: Any) -> tuple[Any, Any]:
        mirrored = tf.transpose(tf.reverse(kernel, [0, 1]), (0, 1, 3, 2))
        for_x = tf.nn.conv2d(upstream, mirrored, 1, "SAME")
        # Channels as the batch and the batch as channels: sums over all positions and pictures.
        padded = tf.pad(x, [[0, 0], [margin, margin], [margin, margin], [0, 0]])
        for_kernel = tf.nn.conv2d(
            tf.transpose(padded, (3, 1, 2, 0)), tf.transpose(upstream, (1, 2, 0, 3)), 1, "VALID"
        )
        return for_x, tf.transpose(for_kernel, (1, 2, 0, 3))

    return tf.nn.conv2d(x, kernel, 1, "SAME"), gradient
