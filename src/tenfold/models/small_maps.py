"""Convolutions of small pictures with many channels, whose kernel's gradient has a faster way.

`tenfold.models.kernels.conv2d` finds it by products of matrices. That takes less time than the
stock kernel only in the range below, measured in bfloat16 with AVX-512: docs/research/fast.md.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tenfold.models import kernels

_LARGEST_SIDE = 8
_FEWEST_CHANNELS = 128


def has_small_maps(layer: keras.Layer, *inputs: Any) -> bool:
    """Whether the faster way computes what the layer does, and is faster."""
    return (
        kernels.is_same_convolution(layer)
        and layer.compute_dtype == "bfloat16"
        and layer.kernel_size == (3, 3)
        and not layer.use_bias
        and layer.activation is keras.activations.linear
        and all(max(x.shape[1:3]) <= _LARGEST_SIDE for x in inputs)
        and min(layer.filters, *(x.shape[-1] for x in inputs)) >= _FEWEST_CHANNELS
    )


def convolution(layer: keras.Layer, x: Any) -> Any:
    """What such a layer gives, (N, H, W, C) to (N, H, W, F)."""
    return kernels.conv2d(*(tf.cast(value, layer.compute_dtype) for value in (x, layer.kernel)))
