"""The event files are read back as TensorBoard itself reads them."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from tenfold.errors import OutputError
from tenfold.training.tensorboard import TensorBoard

BATCH = 16
STEPS = 5  # an epoch of 70 pictures in batches of 16
EPOCHS = 2
RNG = np.random.default_rng(0)
INPUTS = RNG.random((70, 8, 8, 3), np.float32)
LABELS = np.arange(70) % 3
PICTURES = (INPUTS[:7] * 255).astype(np.uint8)


def tiny_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="convolution"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.4),
            keras.layers.Dense(3, activation="softmax", name="classes"),
        ]
    )
    schedule = keras.optimizers.schedules.PolynomialDecay(0.1, EPOCHS * STEPS, 0.0)
    model.compile(
        keras.optimizers.SGD(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def board(folder: Path, **changes: Any) -> TensorBoard:
    settings: dict[str, Any] = {
        "sample_inputs": INPUTS[:64],
        "sample_pictures": PICTURES,
        "layers": ["convolution", "classes"],
        "batch_size": BATCH,
        "every": 2,
    }
    return TensorBoard(folder, **(settings | changes))


class Recorder(keras.callbacks.Callback):
    """Keeps what Keras itself reports, and the weights at the end of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[dict[str, float]] = []
        self.epochs: list[dict[str, float]] = []
        self.weights: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches.append(dict(logs))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(dict(logs))
        self.weights.append(self.model.get_weights())


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return events


def points(events: EventAccumulator, tag: str) -> tuple[list[int], list[np.ndarray]]:
    found = events.Tensors(tag)
    return [e.step for e in found], [tensor_util.make_ndarray(e.tensor_proto) for e in found]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[EventAccumulator, Recorder]:
    folder = tmp_path_factory.mktemp("run") / "tensorboard"
    recorder = Recorder()
    callback = board(folder)
    tiny_model().fit(
        INPUTS,
        LABELS,
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=(INPUTS, LABELS),
        callbacks=[recorder, callback],
        verbose=0,
    )
    callback.write_test(0.75, step=EPOCHS * STEPS)
    return read(folder), recorder


def test_every_panel_is_there_and_no_other(trained: tuple[EventAccumulator, Recorder]) -> None:
    events, _ = trained
    assert set(events.Tags()["tensors"]) == {
        "accuracy/test",
        "accuracy/train",
        "accuracy/validation",
        "activations/classes",
        "activations/convolution",
        "images_per_second",
        "learning_rate",
        "loss/train",
        "loss/validation",
        "samples",
    }
    assert events.Tags()["graph"]


def test_training_curves_hold_what_keras_reports_at_the_steps_that_are_due(
    trained: tuple[EventAccumulator, Recorder],
) -> None:
    events, recorder = trained
    for name in ("accuracy", "loss"):
        steps, values = points(events, f"{name}/train")
        assert steps == [2, 4, 5, 7, 9, 10]  # every second step, and each epoch's last
        np.testing.assert_allclose(values, [recorder.batches[step - 1][name] for step in steps])


def test_the_learning_rate_is_that_of_the_step(trained: tuple[EventAccumulator, Recorder]) -> None:
    steps, values = points(trained[0], "learning_rate")
    np.testing.assert_allclose(values, [0.1 * (1 - step / 10) for step in steps], atol=1e-7)


def test_speed_is_finite_and_positive(trained: tuple[EventAccumulator, Recorder]) -> None:
    steps, values = points(trained[0], "images_per_second")
    assert steps == [2, 4, 5, 7, 9, 10]
    assert all(math.isfinite(value) and value > 0 for value in values)


def test_validation_is_written_after_each_epoch(
    trained: tuple[EventAccumulator, Recorder],
) -> None:
    events, recorder = trained
    for name in ("accuracy", "loss"):
        steps, values = points(events, f"{name}/validation")
        assert steps == [5, 10]
        np.testing.assert_allclose(values, [epoch[f"val_{name}"] for epoch in recorder.epochs])


def test_the_test_accuracy_is_written_once(trained: tuple[EventAccumulator, Recorder]) -> None:
    assert points(trained[0], "accuracy/test") == ([10], [np.float32(0.75)])


def test_histograms_are_those_of_the_layers_outputs_when_predicting(
    trained: tuple[EventAccumulator, Recorder],
) -> None:
    events, recorder = trained
    for layer in ("convolution", "classes"):
        steps, histograms = points(events, f"activations/{layer}")
        assert steps == [5, 10]
        for histogram, weights in zip(histograms, recorder.weights, strict=True):
            model = tiny_model()
            model.set_weights(weights)
            outputs = np.asarray(
                keras.Model(model.inputs[0], model.get_layer(layer).output)(INPUTS[:64])
            )
            lefts, rights, counts = histogram.T
            assert counts.sum() == outputs.size
            np.testing.assert_allclose([lefts[0], rights[-1]], [outputs.min(), outputs.max()], 1e-5)
            # Plain counting, with one value of slack for a value on a bucket's edge.
            plain = [((lefts[0] <= outputs) & (outputs < right)).sum() for right in rights[:-1]]
            np.testing.assert_allclose(counts.cumsum()[:-1], plain, atol=1)


def test_the_graph_names_the_models_layers(trained: tuple[EventAccumulator, Recorder]) -> None:
    graph = trained[0].Graph()
    names = " ".join(node.name for node in graph.node)
    assert "convolution" in names
    assert "classes" in names


def test_the_sample_grid_shows_every_picture(trained: tuple[EventAccumulator, Recorder]) -> None:
    (_, (image,)) = points(trained[0], "samples")
    grid = np.asarray(Image.open(io.BytesIO(image[2])))
    assert grid.shape == (30, 30, 3)  # 7 pictures: 3 rows of 3, each 8 pixels and a gap of 2
    for number, picture in enumerate(PICTURES):
        row, column = divmod(number, 3)
        np.testing.assert_array_equal(grid[row * 10 :, column * 10 :][:8, :8], picture)


def test_without_validation_there_are_no_validation_panels(tmp_path: Path) -> None:
    callback = board(tmp_path, layers=[], sample_pictures=PICTURES[:0])
    tiny_model().fit(INPUTS[:16], LABELS[:16], callbacks=[callback], verbose=0)
    callback.write_test(0.5, step=1)
    assert set(read(tmp_path).Tags()["tensors"]) == {
        "accuracy/test",
        "accuracy/train",
        "images_per_second",
        "learning_rate",
        "loss/train",
    }


def test_values_that_are_not_finite_are_left_out_of_histograms(tmp_path: Path) -> None:
    model = tiny_model()
    kernel, bias, *others = model.get_weights()
    model.set_weights([kernel, bias + np.array([np.nan, np.inf, 0, 0], np.float32), *others])
    callback = board(tmp_path, layers=["convolution"])
    callback.set_model(model)
    callback.on_epoch_end(0)
    _, (histogram,) = points(read(tmp_path), "activations/convolution")
    assert histogram[:, 2].sum() == 64 * 6 * 6 * 2
    assert np.isfinite(histogram).all()


def test_more_samples_than_the_bound_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 64"):
        board(tmp_path, sample_inputs=INPUTS[:65])
    with pytest.raises(ValueError, match="at most 36"):
        board(tmp_path, sample_pictures=np.zeros((37, 8, 8, 3), np.uint8))


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(OutputError, match="run/tensorboard"):
        board(tmp_path / "run" / "tensorboard")
