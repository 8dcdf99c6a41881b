"""From a split to batches: shuffled, gathered, augmented, normalized, one-hot.

A training stream is indexed by step alone. Which pictures step ``s`` holds, and in what order,
follows from (seed, epoch), and what augmentation does to them from (seed, epoch, picture): so a
stream that starts at step ``s`` continues one that was cut off there, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tenfold.augment import Augment
from tenfold.data.dataset import Split
from tenfold.data.normalization import Normalization

_AHEAD = 2
"""Batches prepared while a step is computed: one to hand over, one to absorb a slow page."""


@dataclass(frozen=True)
class TrainingOrder:
    """Which pictures each training step sees.

    Attributes:
        count: pictures in the split.
        batch_size: pictures in a step; the last step of an epoch holds what is left.
        seed: the shuffles follow from it and the epoch.
        shuffle: False keeps the split's own order in every epoch, as the lab did.
        share: of the pictures that an epoch is about. Below 1, the first epochs take all pictures
            in turn, and later ones those that were chosen for them.
        whole_epochs: how many epochs take all pictures in turn, where ``share`` is below 1.
    """

    count: int
    batch_size: int
    seed: int
    shuffle: bool = True
    share: float = 1.0
    whole_epochs: int = 0
    _choices: dict[int, NDArray[np.int64] | None] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def pictures_per_epoch(self) -> int:
        """Pictures that an epoch is about."""
        return max(1, round(self.share * self.count))

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which each of those is seen once."""
        return -(-self.pictures_per_epoch // self.batch_size)

    def pictures(self, steps: int) -> int:
        """How many pictures that many steps see; the last one of an epoch sees fewer."""
        epochs, rest = divmod(steps, self.steps_per_epoch)
        return epochs * self.pictures_per_epoch + rest * self.batch_size

    def round_of(self, epoch: Any) -> Any:
        """How many rounds through the pictures came before an epoch; a number or a tensor.

        A chosen epoch counts as a round: what is mirrored in every other round is then mirrored in
        every other epoch that it is chosen for, near enough.
        """
        if not self.selects:
            return epoch
        whole = (tf.minimum(epoch, self.whole_epochs) * self.pictures_per_epoch) // self.count
        return whole + tf.maximum(epoch - self.whole_epochs, 0)

    @property
    def selects(self) -> bool:
        """Whether some epochs need to be chosen for."""
        return self.share < 1

    def choose(self, epoch: int, positions: NDArray[np.int64] | None) -> None:
        """Say which pictures an epoch is about, int64 (`pictures_per_epoch`,); None: the next ones.

        Only of the epoch that is being trained, of which alone the stream may have been begun.
        """
        self._choices.clear()
        self._choices[epoch] = positions

    def chosen(self, epoch: int) -> NDArray[np.int64] | None:
        """What `choose` was told of an epoch."""
        return self._choices.get(epoch)

    def positions(self, step: int) -> NDArray[np.int64]:
        """Positions in the split, int64 (B,), of the pictures of a step, counted from 0."""
        epoch, within = divmod(step, self.steps_per_epoch)
        first = within * self.batch_size
        last = min(first + self.batch_size, self.pictures_per_epoch)
        if (chosen := self.chosen(epoch)) is not None:
            return chosen[_permutation(len(chosen), self.seed, epoch)[first:last]]
        start = epoch * self.pictures_per_epoch
        places = np.arange(start + first, start + last)
        rounds, positions = places // self.count, places % self.count
        if not self.shuffle:
            return positions
        for number in np.unique(rounds):
            here = rounds == number
            positions[here] = _permutation(self.count, self.seed, int(number))[positions[here]]
        return positions


@lru_cache(maxsize=2)  # the epoch that ends and the one that begins, while batches are read ahead
def _permutation(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    positions = np.random.default_rng((seed, epoch)).permutation(count)
    positions.flags.writeable = False  # what is handed out is a view of what is cached
    return positions


def training_batches(
    split: Split,
    order: TrainingOrder,
    *,
    normalization: Normalization,
    classes: int,
    augment: Augment | None = None,
    first_step: int = 0,
    steps: int,
    at_a_time: int | None = None,
) -> tf.data.Dataset:
    """A stream of training batches, each whole or in parts.

    Args:
        split: where pictures come from.
        order: which ones each step sees.
        normalization: applied last.
        classes: length of a one-hot label.
        augment: applied to pixel values of 0 to 255, before normalization.
        first_step: the step that the stream begins at.
        steps: how many batches it has.
        at_a_time: the most pictures in a part; None: batches are whole.

    Returns:
        Batches of pictures, float32 (B, H, W, C), and one-hot labels, float32 (B, classes). In
        parts, two scalars follow: the share of its batch that a part is, float32, and whether it is
        the last of it, bool.
    """

    def batch(step: Any, positions_of: Callable[[int], NDArray[np.int64]], index: Any) -> Any:
        pictures, labels, positions = _gather(split, positions_of, index)
        labels = tf.one_hot(labels, classes)
        if augment is not None:
            epoch = order.round_of(step // order.steps_per_epoch)
            seed = tf.constant(order.seed, tf.int64)
            pictures, labels = augment(pictures, labels, ids=positions, epoch=epoch, seed=seed)
        return normalization.apply(pictures), labels

    if at_a_time is None:
        steps_ahead = tf.data.Dataset.range(first_step, first_step + steps)
        return _stream(steps_ahead, lambda step: batch(step, order.positions, step))

    parts = -(-order.batch_size // at_a_time)  # in a full batch

    def positions_of(index: int) -> NDArray[np.int64]:
        step, part = divmod(index, parts)
        return order.positions(step)[part * at_a_time :][:at_a_time]

    whole, most = (tf.constant(number, tf.int64) for number in (order.batch_size, at_a_time))

    def left(index: Any) -> tuple[Any, Any]:
        """Pictures in the batch of a part, and how many of them come with it or after it."""
        within = (index // parts) % order.steps_per_epoch
        size = tf.minimum(whole, order.pictures_per_epoch - within * whole)
        return size, size - index % parts * at_a_time

    def part(index: Any) -> tuple[Any, ...]:
        size, remaining = left(index)
        share = tf.cast(tf.minimum(most, remaining) / size, tf.float32)
        return *batch(index // parts, positions_of, index), share, remaining <= at_a_time

    indices = tf.data.Dataset.range(first_step * parts, (first_step + steps) * parts)
    return _stream(indices.filter(lambda index: left(index)[1] > 0), part)


def evaluation_batches(
    split: Split,
    *,
    batch_size: int,
    normalization: Normalization,
    one_hot: int | None = None,
    first: int = 0,
) -> tf.data.Dataset:
    """Every picture of a split once, in order, unchanged but for normalization.

    Args:
        split: where pictures come from.
        batch_size: pictures in a batch; the last holds what is left.
        normalization: applied to each.
        one_hot: number of classes for one-hot labels, float32 (B, one_hot); None: int32 (B,).
        first: the batch to begin with.

    Returns:
        Batches of pictures, float32 (B, H, W, C), and labels.
    """

    def positions(start: int) -> NDArray[np.int64]:
        return np.arange(start, min(start + batch_size, len(split)))

    def make(start: Any) -> tuple[Any, Any]:
        pictures, labels, _ = _gather(split, positions, start)
        if one_hot is not None:
            labels = tf.one_hot(labels, one_hot)
        return normalization.apply(pictures), labels

    return _stream(tf.data.Dataset.range(first * batch_size, len(split), batch_size), make)


def _gather(
    split: Split, positions_of: Callable[[int], NDArray[np.int64]], index: Any
) -> tuple[Any, Any, Any]:
    """Read the pictures that an index stands for, from within a graph.

    Returns:
        Pixel values, float32 (B, H, W, C), classes, int32 (B,), and positions, int64 (B,).
    """

    def gather(index: np.int64) -> tuple[Any, ...]:
        positions = positions_of(int(index))
        return *split.gather(positions), positions

    pixels, labels, positions = tf.numpy_function(
        gather, [index], [tf.uint8, tf.int32, tf.int64], stateful=False
    )
    pixels = tf.ensure_shape(pixels, (None, *split.images.shape[1:]))
    labels, positions = (tf.ensure_shape(values, (None,)) for values in (labels, positions))
    return tf.cast(pixels, tf.float32), labels, positions


def _stream(indices: tf.data.Dataset, make: Callable[[Any], tuple[Any, ...]]) -> tf.data.Dataset:
    """Make a batch of each index, reading a few ahead: tf.data would tune its buffers upwards."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1  # the cores belong to the training step
    batches = indices.map(make, num_parallel_calls=1, deterministic=True)
    return batches.prefetch(_AHEAD).with_options(options)
