"""Predictions against stock Keras, and model files that must not be trusted."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tenfold.data.normalization import Normalization
from tenfold.errors import RunError
from tenfold.models import build_network
from tenfold.models.predict import load_network, predictor
from tenfold.recipe import ModelSection

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
NORMALIZATION = Normalization(offset=(100.0, 110.0, 120.0), scale=(50.0, 60.0, 70.0))


def by_keras(network: keras.Model, pixels: Any) -> Any:
    inputs = (pixels - np.array([100.0, 110.0, 120.0])) / np.array([50.0, 60.0, 70.0])
    return np.asarray(network(inputs.astype(np.float32), training=False))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return build_network(ModelSection(name="lab-2"), size=8, classes=3, seed=1)


def branching() -> keras.Model:
    """A network that the fast way of computing does not fit."""
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.Add()([x, keras.layers.Conv2D(3, 3, padding="same")(x)])
    x = keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Softmax(name="probabilities")(x))


def test_probabilities_equal_those_of_stock_keras(network: keras.Model) -> None:
    predict = predictor(network, NORMALIZATION.apply)
    for count in (5, 2, 1):  # whatever the size of the batch
        probabilities = predict(PIXELS[:count])
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities, by_keras(network, PIXELS[:count]), atol=1e-5)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_averaging_is_over_mirror_images_and_shifts_by_a_pixel(network: keras.Model) -> None:
    shifts = {  # which row and column of the picture each place shows, and how much that counts
        (0, 1, 2, 3, 4, 5, 6, 7): 0.5,
        (1, 2, 3, 4, 5, 6, 7, 6): 0.25,
        (1, 0, 1, 2, 3, 4, 5, 6): 0.25,
    }
    expected = np.zeros((len(PIXELS), 3))
    for places, weight in shifts.items():
        moved = np.array([[[p[y][x] for x in places] for y in places] for p in PIXELS])
        mirrored = np.array([[row[::-1] for row in picture] for picture in moved])
        for view in (moved, mirrored):
            expected += weight / 2 * by_keras(network, view)
    predicted = predictor(network, NORMALIZATION.apply, averaged=True)(PIXELS)
    np.testing.assert_allclose(predicted, expected, atol=1e-5)
    assert not np.allclose(predicted, by_keras(network, PIXELS), atol=1e-4)


def test_a_network_with_branches_predicts_as_it_is() -> None:
    network = branching()
    predicted = predictor(network, NORMALIZATION.apply)(PIXELS)
    np.testing.assert_allclose(predicted, by_keras(network, PIXELS), atol=1e-5)


def test_a_saved_network_is_loaded_whole(network: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    network.save(path)
    loaded = load_network(path, size=8, classes=3)
    np.testing.assert_array_equal(by_keras(loaded, PIXELS), by_keras(network, PIXELS))


def test_a_damaged_file_is_one_line_that_names_it(network: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    network.save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(RunError, match=r"model\.keras cannot be loaded.*train it again"):
        load_network(path, size=8, classes=3)


def test_a_file_without_weights_is_refused(network: keras.Model, tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.keras", tmp_path / "model.keras"
    network.save(whole)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(path, "w") as part:
        for name in archive.namelist():
            if not name.endswith(".h5"):
                part.writestr(name, archive.read(name))
    with pytest.raises(RunError, match=r"model\.keras cannot be loaded"):
        load_network(path, size=8, classes=3)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 3))
    hostile = keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs))
    path = tmp_path / "model.keras"
    hostile.save(path)
    with pytest.raises(RunError, match=r"model\.keras cannot be loaded"):
        load_network(path, size=8, classes=3)


@pytest.mark.parametrize(("size", "classes"), [(9, 3), (8, 4)])
def test_a_network_for_other_pictures_or_classes_is_refused(
    network: keras.Model, tmp_path: Path, size: int, classes: int
) -> None:
    path = tmp_path / "model.keras"
    network.save(path)
    with pytest.raises(
        RunError, match=f"not a network from pictures of {size}x{size} to .*{classes}"
    ):
        load_network(path, size=size, classes=classes)
