"""What the stronger networks are made of: convolutions without bias, each normalized."""

from __future__ import annotations

from typing import Any

import keras

from tenfold.models._parts import Parts


class Blocks:
    """Puts layers behind tensors, (N, H, W, C) in and out; every layer is a stock one.

    Padding is ``same`` throughout, so a stride of 2 halves any side, rounding up, and no picture is
    too small.

    Args:
        parts: gives the seeds and the precision, the normalization and the head.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def conv(self, x: Any, filters: int, kernel: int, name: str, stride: int = 1) -> Any:
        """A convolution without bias, which a normalization behind it would take out again."""
        return keras.layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer=self._start(),
            dtype=self._parts.policy,
            name=name,
        )(x)

    def depthwise(self, x: Any, name: str, stride: int = 1) -> Any:
        """A 3x3 convolution of each channel by itself, without bias."""
        return keras.layers.DepthwiseConv2D(
            3,
            strides=stride,
            padding="same",
            use_bias=False,
            depthwise_initializer=self._start(),
            dtype=self._parts.policy,
            name=name,
        )(x)

    def norm(self, x: Any, name: str) -> Any:
        """Batch normalization."""
        return self._parts.batch_norm(name)(x)

    def relu(self, x: Any, name: str, most: float | None = None) -> Any:
        """ReLU; with ``most``, what is above that is cut off."""
        return keras.layers.ReLU(most, dtype=self._parts.policy, name=name)(x)

    def norm_relu(self, x: Any, name: str) -> Any:
        """Batch normalization and ReLU, as a network has them that is activated beforehand."""
        return self.relu(self.norm(x, f"{name}_norm"), f"{name}_relu")

    def conv_norm_relu(self, x: Any, filters: int, kernel: int, name: str, stride: int = 1) -> Any:
        """Convolution, batch normalization and ReLU."""
        return self.norm_relu(self.conv(x, filters, kernel, f"{name}_conv", stride), name)

    def max_pool(self, x: Any, name: str, stride: int = 2) -> Any:
        """Max pooling, 3x3."""
        return keras.layers.MaxPooling2D(
            3, strides=stride, padding="same", dtype=self._parts.policy, name=name
        )(x)

    def add(self, x: Any, y: Any, name: str) -> Any:
        """The sum of two tensors of one shape."""
        return keras.layers.Add(dtype=self._parts.policy, name=name)([x, y])

    def concatenate(self, branches: list[Any], name: str) -> Any:
        """The channels of several tensors, one after another."""
        return keras.layers.Concatenate(dtype=self._parts.policy, name=name)(branches)

    def dropout(self, x: Any, name: str) -> Any:
        """Dropout at the recipe's rate; no layer at all where that is 0."""
        return self._parts.dropout(name)(x) if self._parts.section.dropout else x

    def pooled(self, x: Any) -> Any:
        """The mean of each channel, (N, C)."""
        return keras.layers.GlobalAveragePooling2D(dtype=self._parts.policy, name="pooled")(x)

    def head(self, x: Any, classes: int) -> Any:
        """Logits of rows of values, and the softmax over them."""
        return self._parts.head(x, classes)

    def _start(self) -> keras.Initializer:
        """He normal by fan-out, which keeps the gradients' variance (He, 2015)."""
        return keras.initializers.VarianceScaling(
            2.0, "fan_out", "untruncated_normal", self._parts.next_seed()
        )
