"""What a training leaves in metrics.jsonl."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tenfold.errors import RunError
from tenfold.run import Run
from tenfold.training import recorder
from tenfold.training.recorder import Recorder


class Clock:
    """Stands in for the time module: every look at it is half a second later."""

    now = 0.0

    def perf_counter(self) -> float:
        self.now += 0.5
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(recorder, "time", fake)
    return fake


def model() -> keras.Model:
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    made.compile(
        keras.optimizers.SGD(0.125),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    return made


def written(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics_path.read_text().splitlines()]


def test_steps_and_epochs_are_recorded_with_their_numbers(tmp_path: Path, clock: Clock) -> None:
    run = Run(tmp_path)
    # 5 pictures in batches of 2 are 3 steps.
    made = Recorder(run, pictures=5, batch_size=2, every=2)
    made.set_model(model())
    for epoch in range(2):
        made.on_epoch_begin(epoch)
        for batch in range(3):
            made.on_train_batch_end(batch, {"loss": 1.0 - 0.1 * batch, "accuracy": 0.1 * batch})
        clock.now += 100  # validation, which is nobody's training time
        validation = {"val_loss": 2.0, "val_accuracy": 0.25} if epoch else {}
        made.on_epoch_end(epoch, {"loss": 0.5, "accuracy": 0.75, **validation})
    common = {"learning_rate": 0.125}
    epoch_one = {"event": "epoch", "epoch": 1, "step": 3, "loss": 0.5, "accuracy": 0.75}
    speed = {"images_per_second": 5 / 1.5, "seconds": 1.5}
    assert written(run) == [
        {
            "event": "step",
            "step": 2,
            "epoch": 0.8,
            "loss": 0.9,
            "accuracy": 0.1,
            "images_per_second": 4 / 1.0,
            **common,
        },
        {**epoch_one, **speed, **common},
        {
            "event": "step",
            "step": 4,
            "epoch": 1.4,
            "loss": 1.0,
            "accuracy": 0.0,
            "images_per_second": 2 / 0.5,
            **common,
        },
        {
            "event": "step",
            "step": 6,
            "epoch": 2.0,
            "loss": 0.8,
            "accuracy": 0.2,
            "images_per_second": 5 / 1.5,
            **common,
        },
        {
            **epoch_one,
            **speed,
            **common,
            "epoch": 2,
            "step": 6,
            "validation_loss": 2.0,
            "validation_accuracy": 0.25,
        },
    ]
    assert made.steps == 6
    assert made.seconds == 3.0


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_training_at_once(tmp_path: Path, loss: float) -> None:
    made = Recorder(Run(tmp_path), pictures=100, batch_size=2)
    made.set_model(model())
    made.on_epoch_begin(0)
    made.on_train_batch_end(0, {"loss": 1.0, "accuracy": 0.5})
    with pytest.raises(RunError, match=r"after step 2.*optimizer\.learning_rate"):
        made.on_train_batch_end(1, {"loss": loss, "accuracy": 0.5})


def test_a_diverging_fit_ends_with_the_mend_and_not_a_traceback_of_keras(tmp_path: Path) -> None:
    pictures = np.full((8, 2), 1e30, np.float32)
    labels = np.eye(2, dtype=np.float32)[np.arange(8) % 2]
    made = Recorder(Run(tmp_path), pictures=8, batch_size=2)
    diverging = model()
    diverging.optimizer.learning_rate = 1e30
    with pytest.raises(RunError, match=r"diverged; lower optimizer\.learning_rate"):
        diverging.fit(pictures, labels, batch_size=2, epochs=3, verbose=0, callbacks=[made])
    assert not [record for record in Run(tmp_path).metrics() if record["event"] == "epoch"]
