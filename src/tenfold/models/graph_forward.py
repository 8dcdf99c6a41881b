"""A network of any shape in fewer CPU cycles: batch normalization by TensorFlow's fused operation.

Stock Keras composes batch normalization of a dozen operations, each of which goes through the whole
tensor, and as many again for the gradient. TensorFlow has one operation for each way, in float32
and in bfloat16, with the same outputs and gradients; the moving statistics are Keras's too. Small
convolutions have a gradient of their own, see `tenfold.models.small_maps`. All other layers are
left to Keras: computing the gradients of a convolution as convolutions, as `tenfold.models.fast`
does, takes more time where kernels are 3x3, not less.

This module is TensorFlow only.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tenfold.models import small_maps


def graph_forward(network: keras.Model, last: str) -> Callable[[Any, bool], Any]:
    """A function of (pictures, training) that gives the output of the layer called ``last``.

    Args:
        network: a functional model with one input.
        last: name of a layer of it.
    """
    part = keras.Model(network.inputs[0], network.get_layer(last).output)

    def forward(pictures: Any, training: bool) -> Any:
        outputs = part._run_through_graph(
            [tf.convert_to_tensor(pictures)], lambda layer: partial(_compute, layer, training)
        )
        return keras.tree.flatten(outputs)[0]

    return forward


def _compute(layer: keras.Layer, training: bool, /, *inputs: Any, **settings: Any) -> Any:
    if settings.get("mask") is None and is_fusible(layer, *inputs):
        return batch_norm(layer, training and layer.trainable, *inputs)
    if small_maps.has_small_maps(layer, *inputs):
        return small_maps.convolution(layer, *inputs)
    if "training" in inspect.signature(layer.call).parameters:
        settings["training"] = training
    return layer(*inputs, **settings)


def is_fusible(layer: keras.Layer, *inputs: Any) -> bool:
    """Whether the fused operation computes what the layer does."""
    return (
        type(layer) is keras.layers.BatchNormalization
        and [len(x.shape) for x in inputs] == [4]
        and layer.axis in (-1, 3)
        and layer.scale
        and layer.center
        and not layer.synchronized
        and not getattr(layer, "renorm", False)  # not in older Keras
    )


def batch_norm(layer: keras.Layer, training: bool, x: Any) -> Any:
    """Batch normalization, (N, H, W, C) to the same; in training, the moving statistics move."""
    variables = layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance
    gamma, beta, mean, variance = (tf.convert_to_tensor(variable) for variable in variables)
    fused = tf.raw_ops.FusedBatchNormV3(
        x=tf.cast(x, layer.compute_dtype),
        scale=gamma,
        offset=beta,
        mean=mean[:0] if training else mean,
        variance=variance[:0] if training else variance,
        epsilon=layer.epsilon,
        is_training=training,
    )
    if training:
        # It estimates the variance that the batch comes from; Keras keeps the batch's own.
        count = tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), tf.float32)
        own = fused.batch_variance * ((tf.maximum(count, 2.0) - 1) / count)
        kept = layer.momentum
        layer.moving_mean.assign(mean * kept + fused.batch_mean * (1.0 - kept))
        layer.moving_variance.assign(variance * kept + own * (1.0 - kept))
    return fused.y
