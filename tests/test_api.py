"""A whole training on the digits, checked from its folder alone and by stock Keras."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

import tenfold
import tenfold.api
from tenfold.api import Run, TrainingInterrupted
from tenfold.data.dataset import Dataset, Split, open_dataset
from tenfold.errors import RecipeError, RunError, SourceError
from tenfold.evaluation import load_result
from tenfold.evaluation.details import load_details
from tenfold.pages import data_uri
from tenfold.recipe import load_recipe

DOCS = Path(__file__).parent.parent / "docs"
EPOCHS = 3
OVERRIDES = (f"training.epochs={EPOCHS}", "training.precision=float32", "seed=4")


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENFOLD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, _cache: None) -> Run:
    out = tmp_path_factory.mktemp("runs") / "digits"
    return tenfold.train("digits", "lab-2", overrides=OVERRIDES, out=out)


@pytest.fixture(scope="module")
def dataset(run: Run) -> Dataset:
    """The run's dataset, drawn again from what the run wrote down."""
    return open_dataset(run.source()["name"], **run.source()["options"])


@pytest.fixture(scope="module")
def tested(dataset: Dataset) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    return dataset.test.gather(np.arange(len(dataset.test)))


def by_stock_keras(run: Run, pixels: Any) -> NDArray[np.float32]:
    """Probabilities by a reader that knows Keras and docs/runs.md, and nothing of Tenfold."""
    temperature = json.loads((run.path / "calibration.json").read_text())["temperature"]
    facts = json.loads((run.path / "preprocessing.json").read_text())
    inputs = (pixels - np.array(facts["offset"])) / np.array(facts["scale"])
    model = keras.models.load_model(run.path / "model.keras")
    outputs = model.get_layer("logits").output
    logits = keras.Model(model.input, outputs)(inputs.astype(np.float32), training=False)
    return np.asarray(keras.ops.softmax(logits / temperature))


def test_a_run_leaves_every_file_of_its_description_and_no_other(run: Run) -> None:
    described = re.findall(r"^\| `([\w.]+)/?` \|", (DOCS / "runs.md").read_text(), re.MULTILINE)
    assert len(described) == 15
    described.remove("repeat.toml")  # there is none without a time budget
    assert {path.name for path in run.path.iterdir()} == set(described)
    assert run.damage is None


def test_the_report_is_of_the_run_and_is_made_again_alike(run: Run) -> None:
    before = run.report_path.read_text()
    assert f"{load_result(run).test.accuracy:.2%}" in before
    assert run.report() == run.report_path
    assert run.report_path.read_text() == before


def test_the_details_are_of_the_test_split(run: Run, dataset: Dataset, tested: Any) -> None:
    pixels, labels = tested
    details = load_details(run, classes=10)
    assert details is not None
    probabilities = by_stock_keras(run, pixels)
    sure = probabilities.max(axis=1)
    wrong = probabilities.argmax(axis=1) != labels
    assert details.reliability.count == len(labels)
    assert details.reliability.mean_confidence == pytest.approx(sure.mean(), abs=1e-5)
    assert details.mistakes[0].confidence == pytest.approx(sure[wrong].max(), abs=1e-5)
    for mistake in details.mistakes:
        assert mistake.true == labels[mistake.position]
        assert mistake.picture == data_uri(pixels[mistake.position])


def test_the_digits_are_learned(run: Run) -> None:
    assert load_result(run).test.accuracy > 0.6  # chance is 0.1


def test_the_test_accuracy_is_what_stock_keras_finds(run: Run, tested: Any) -> None:
    pixels, labels = tested
    probabilities = by_stock_keras(run, pixels)
    test = load_result(run).test
    assert test.count == len(labels)
    assert test.accuracy == (probabilities.argmax(axis=1) == labels).mean()
    of_truth = probabilities[np.arange(len(labels)), labels]
    assert test.loss == pytest.approx(-np.log(of_truth).mean(), rel=1e-4)


def test_the_default_recipe_fits_the_source(dataset: Dataset, tmp_path: Path) -> None:
    assert tenfold.api.default_recipe("digits") == tenfold.api.default_recipe(dataset) == "digits"
    assert tenfold.api.default_recipe("cifar10") == "fast"
    few, enough = (
        replace(
            dataset,
            kind="folder",
            train=replace(dataset.train, indices=np.zeros(count, np.int64)),
        )
        for count in (9_999, 10_000)
    )
    assert tenfold.api.default_recipe(few) == "lab-2"
    assert tenfold.api.default_recipe(enough) == "fast"
    # The pictures are opened by the one before it is known which it is.
    assert load_recipe("fast").data == load_recipe("lab-2").data

    pixels, labels = dataset.test.gather(np.arange(60))
    np.savez(tmp_path / "few.npz", x_train=pixels, y_train=labels % 2)
    overrides = ["training.epochs=1", "data.validation=0", "training.batch_size=40"]
    run = tenfold.train(tmp_path / "few.npz", overrides=overrides, out=tmp_path / "run")
    assert run.recipe() == load_recipe("lab-2", overrides)


def test_evaluating_again_gives_the_stored_result(run: Run) -> None:
    again, stored = tenfold.load_run(run.path).evaluate(), load_result(run).test
    assert again.confusion == stored.confusion
    assert again.loss == pytest.approx(stored.loss, rel=1e-5)


def test_tta_averages_over_views(run: Run, dataset: Dataset, tested: Any) -> None:
    pixels, labels = tested
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    size = pixels.shape[1]
    probabilities = np.zeros((len(pixels), 10))
    for weight, start in ((0.25, 1), (0.125, 0), (0.125, 2)):
        view = padded[:, start : start + size, start : start + size]
        probabilities += weight * by_stock_keras(run, view)
        probabilities += weight * by_stock_keras(run, np.flip(view, axis=2))
    evaluation = run.evaluate(dataset, tta=True)
    assert evaluation.correct == (probabilities.argmax(axis=1) == labels).sum()
    of_truth = probabilities[np.arange(len(labels)), labels]
    assert evaluation.loss == pytest.approx(-np.log(of_truth).mean(), rel=1e-4)
    np.testing.assert_allclose(run.predict(pixels[:9], tta=True), probabilities[:9], atol=1e-5)


def test_pictures_are_predicted_whatever_their_number(run: Run, tested: Any) -> None:
    pixels, _ = tested
    assert len(pixels) > 256  # more than a batch
    np.testing.assert_allclose(run.predict(pixels), by_stock_keras(run, pixels), atol=1e-5)
    assert run.predict(pixels[:0]).shape == (0, 10)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((2, 9, 9, 3), np.uint8),
        np.zeros((2, 8, 8), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
    ],
)
def test_other_shapes_and_types_are_refused_with_the_rule(run: Run, images: Any) -> None:
    with pytest.raises(ValueError, match=r"uint8 of shape \(N, 8, 8, 3\). Received: "):
        run.predict(images)


def test_tensorboard_holds_the_test_accuracy_once(run: Run) -> None:
    events = EventAccumulator(str(run.tensorboard_path), size_guidance={"tensors": 0})
    events.Reload()
    [point] = events.Tensors("accuracy/test")
    result = load_result(run)
    assert point.step == result.steps
    assert float(tensor_util.make_ndarray(point.tensor_proto)) == pytest.approx(
        result.test.accuracy
    )
    assert len(events.Tensors("accuracy/validation")) == EPOCHS


def test_metrics_and_result_agree(run: Run, dataset: Dataset) -> None:
    metrics, result = run.metrics(), load_result(run)
    epochs = [record for record in metrics if record["event"] == "epoch"]
    assert [record["epoch"] for record in epochs] == list(range(1, EPOCHS + 1))
    [test] = [record for record in metrics if record["event"] == "test"]
    assert metrics[-1] is test
    assert (test["accuracy"], test["loss"]) == (result.test.accuracy, result.test.loss)
    assert result.epochs == EPOCHS
    assert result.steps == epochs[-1]["step"] == EPOCHS * -(-len(dataset.train) // 128)
    assert epochs[-1]["loss"] < epochs[0]["loss"]


def test_the_folder_says_what_was_trained_on_what(run: Run, dataset: Dataset) -> None:
    assert run.recipe() == load_recipe("lab-2", OVERRIDES)
    sizes = {"train": len(dataset.train), "validation": len(dataset.validation)}
    assert run.source()["splits"] == sizes | {"test": len(dataset.test)}
    assert run.environment()["seed"] == 4
    assert run.environment()["precision"] == load_result(run).precision == "float32"
    assert run.preprocessing()["class_names"] == list("0123456789")


def copied(run: Run, folder: Path, **source: Any) -> Run:
    """A copy of the run with something else in its source.json."""
    shutil.copytree(run.path, folder)
    copy = tenfold.load_run(folder)
    copy.source_path.write_text(json.dumps(copy.source() | source))
    return copy


def test_a_source_that_has_changed_is_not_tested_on(run: Run, tmp_path: Path) -> None:
    copy = copied(run, tmp_path / "copy", fingerprint="f" * 64)
    with pytest.raises(RunError, match=r"source digits has changed.*--on"):
        copy.evaluate()


def test_another_source_counts_whole_where_it_has_no_test_split(run: Run, tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    path = tmp_path / "new.npz"
    np.savez(path, images=pictures, labels=np.array(list("70") * 6))
    evaluation = run.evaluate(path)
    assert evaluation.class_counts == (6, 0, 0, 0, 0, 0, 0, 6, 0, 0)  # by name, not by position
    predicted = by_stock_keras(run, pictures).argmax(axis=1)
    assert evaluation.correct == (predicted == np.array([7, 0] * 6)).sum()


def test_a_class_that_the_model_does_not_know_is_refused(run: Run, dataset: Dataset) -> None:
    strange = replace(dataset, class_names=(*"012345678", "ten"), source="strange.zip")
    with pytest.raises(SourceError, match=r"class 'ten' of "):
        run.evaluate(strange)


def test_pictures_of_another_size_are_refused_with_the_mend(run: Run) -> None:
    with pytest.raises(SourceError, match=r"16x16, and the model of .* takes 8x8; open it with"):
        run.evaluate(open_dataset("digits", size=16))


def test_a_dataset_is_trained_as_it_is_and_tested_once_training_is_done(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    few = replace(dataset, train=replace(dataset.train, indices=dataset.train.indices[:50]))
    recipe = load_recipe("lab-1", ["training.epochs=1", "data.test=0.5"])
    told: list[Any] = []
    gather = Split.gather

    def watched(self: Split, positions: NDArray[np.integer]) -> Any:
        # The model is saved when training is done.
        assert self.name != "test" or (out / "model.keras").is_file()
        return gather(self, positions)

    def callbacks(*arguments: Any) -> list[keras.callbacks.Callback]:
        told.extend(arguments)
        return []

    monkeypatch.setattr(Split, "gather", watched)
    run = tenfold.train(few, recipe, out=out, callbacks=callbacks)
    assert told == [few, recipe]
    result = load_result(run)
    assert (result.steps, result.test.count) == (1, len(dataset.test))
    assert run.evaluate(dataset).confusion == result.test.confusion


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_training_leaves_its_network_and_is_not_finished(
    dataset: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(TrainingInterrupted) as caught:
        tenfold.train(dataset, "lab-1", out=out, callbacks=lambda *_: [Interrupt()])
    run = tenfold.load_run(out)
    assert caught.value.run == run
    assert not run.finished
    assert run.predict(np.zeros((1, 8, 8, 3), np.uint8)).shape == (1, 10)


def test_early_stopping_without_validation_pictures_is_refused_before_anything_is_made(
    dataset: Dataset, tmp_path: Path
) -> None:
    none = replace(dataset.validation, indices=dataset.validation.indices[:0])
    with pytest.raises(RecipeError, match=r"data\.validation=0\.1"):
        tenfold.train(
            replace(dataset, validation=none),
            overrides=["training.early_stopping=2"],
            out=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()
