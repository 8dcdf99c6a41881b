"""One training step whose batch comes in parts, because memory does not hold it whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tenfold.training.trainee import Trainee


def accumulating_step(trainee: Trainee) -> Callable[[Iterator[Any]], dict[str, Any]]:
    """A compiled step that takes parts of a batch until its last, and then moves the weights once.

    The gradient is the mean over all pictures of the batch, whatever the sizes of its parts: each
    part's mean counts by the share that the part is of the batch. Batch normalization sees, and
    follows, one part at a time. Keras's own accumulation would average over parts, and count each
    as a step.

    Args:
        trainee: what is trained; its running metrics are updated.

    Returns:
        A function of an iterator over (pictures, labels, share, last), see
        `tenfold.data.pipeline.training_batches`, that gives the metrics by name.
    """
    variables = trainee.trainable_variables
    loss_so_far, accuracy = trainee.running_metrics

    def gradients_of(pictures: Any, labels: Any, share: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            predicted = trainee(pictures, training=True)
            loss = trainee.compute_loss(x=pictures, y=labels, y_pred=predicted)
            part = loss * share
        loss_so_far.update_state(loss, sample_weight=tf.shape(pictures)[0])
        accuracy.update_state(labels, predicted)
        found: list[Any] = tape.gradient(part, [variable.value for variable in variables])
        return found

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(batches: Iterator[Any]) -> dict[str, Any]:
        def add_part(last: Any, sums: list[Any]) -> tuple[Any, list[Any]]:
            pictures, labels, share, last = batches.get_next()  # type: ignore[attr-defined]
            parts = gradients_of(pictures, labels, share)
            return last, [total + part for total, part in zip(sums, parts, strict=True)]

        nothing = [tf.zeros(variable.shape, variable.dtype) for variable in variables]
        _, gradients = tf.while_loop(
            lambda last, sums: tf.logical_not(last),
            add_part,
            [tf.constant(False), nothing],
            parallel_iterations=1,  # so that only one part is in memory
        )
        trainee.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return {metric.name: metric.result() for metric in trainee.running_metrics}

    return step  # type: ignore[no-any-return]
