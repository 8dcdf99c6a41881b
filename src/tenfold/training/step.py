"""One training step, of a whole batch or of one that comes in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tenfold.training.phases import WHOLE, Phase
from tenfold.training.trainee import Trainee

Step = Callable[[Iterator[Any]], dict[str, Any]]


def whole_step(trainee: Trainee, phase: Phase = WHOLE) -> Step:
    """A compiled step of one batch.

    Args:
        trainee: what is trained; its running metrics are updated.
        phase: which pictures and weights the step is about.

    Returns:
        A function of an iterator over (pictures, labels) that gives the metrics by name.
    """
    gradients_of = _gradients(trainee, phase)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(batches: Iterator[Any]) -> dict[str, Any]:
        pictures, labels = next(batches)
        _apply(trainee, gradients_of(pictures, labels, 1.0, 0))
        return {metric.name: metric.result() for metric in trainee.running_metrics}

    return step  # type: ignore[no-any-return]


def accumulating_step(trainee: Trainee, phase: Phase = WHOLE) -> Step:
    """A compiled step that takes parts of a batch until its last, and then moves the weights once.

    The gradient is the mean over all pictures of the batch, whatever the sizes of its parts: each
    part's mean counts by the share that the part is of the batch. Batch normalization sees, and
    follows, one part at a time. Keras's own accumulation would average over parts, and count each
    as a step.

    Args:
        trainee: what is trained; its running metrics are updated.
        phase: which pictures and weights the step is about.

    Returns:
        A function of an iterator over (pictures, labels, share, last), see
        `tenfold.data.pipeline.training_batches`, that gives the metrics by name.
    """
    gradients_of = _gradients(trainee, phase)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(batches: Iterator[Any]) -> dict[str, Any]:
        def add_part(last: Any, done: Any, sums: list[Any]) -> tuple[Any, Any, list[Any]]:
            pictures, labels, share, last = batches.get_next()  # type: ignore[attr-defined]
            parts = gradients_of(pictures, labels, share, done)
            sums = [total + part for total, part in zip(sums, parts, strict=True)]
            return last, done + tf.shape(pictures)[0], sums

        nothing = [tf.zeros(v.shape, v.dtype) for v in trainee.trainable_variables]
        _, _, gradients = tf.while_loop(
            lambda last, done, sums: tf.logical_not(last),
            add_part,
            [tf.constant(False), tf.constant(0), nothing],
            parallel_iterations=1,  # so that only one part is in memory
        )
        _apply(trainee, gradients)
        return {metric.name: metric.result() for metric in trainee.running_metrics}

    return step  # type: ignore[no-any-return]


def _gradients(trainee: Trainee, phase: Phase) -> Callable[..., list[Any]]:
    """A function of a part of a batch that gives its gradients, 0 for what is not trained."""
    variables = trainee.trainable_variables
    trained = [variable for variable in variables if phase.trains(variable.path)]
    loss_so_far, accuracy = trainee.running_metrics

    def gradients_of(pictures: Any, labels: Any, share: Any, done: Any) -> list[Any]:
        """Of pictures and labels, the share of their batch, and how many came before them."""
        pictures = phase.shrink(pictures)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in trained])
            predicted = trainee(pictures, training=True)
            loss = trainee.compute_loss(x=pictures, y=labels, y_pred=predicted)
            part = loss * share
        loss_so_far.update_state(loss, sample_weight=tf.shape(pictures)[0])
        accuracy.update_state(labels, predicted)
        if trainee.picture_losses is not None:
            trainee.picture_losses.note(labels, predicted, done)
        found = iter(tape.gradient(part, [variable.value for variable in trained]))
        return [
            next(found) if phase.trains(variable.path) else tf.zeros(variable.shape, variable.dtype)
            for variable in variables
        ]

    return gradients_of


def _apply(trainee: Trainee, gradients: list[Any]) -> None:
    trainee.optimizer.apply_gradients(zip(gradients, trainee.trainable_variables, strict=True))
