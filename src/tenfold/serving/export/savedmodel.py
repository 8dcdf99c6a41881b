"""A trained network as a TensorFlow SavedModel: uint8 pixels in, calibrated probabilities out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tenfold.files import to_json
from tenfold.serving.export.facts import FACTS_FILE, INPUT, OUTPUT, Facts
from tenfold.serving.export.pixel_function import PixelsToLogits


def write_savedmodel(network: keras.Model, facts: Facts, path: Path) -> None:
    """Write a network as a SavedModel with one signature, ``serving_default``.

    Args:
        network: from `tenfold.models.build_network`, trained.
        facts: its normalization and temperature become part of the graph; all is in the asset
            `FACTS_FILE`.
        path: of a folder, which is made.
    """
    module = PixelsToLogits(network, facts)

    def probabilities(pixels: Any) -> dict[str, Any]:
        return {OUTPUT: tf.nn.softmax(module.logits(pixels) / facts.temperature)}

    function = tf.function(probabilities, input_signature=module.signature)
    with tempfile.TemporaryDirectory() as folder:
        asset = Path(folder) / FACTS_FILE
        asset.write_text(to_json(facts.to_texts(), indent=2) + "\n", encoding="utf-8")
        module.facts = tf.saved_model.Asset(str(asset))
        tf.saved_model.save(module, str(path), signatures={"serving_default": function})


def load_savedmodel(path: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """What the file's signature computes: from pixels to probabilities."""
    loaded = tf.saved_model.load(str(path))
    function = loaded.signatures["serving_default"]

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = function(**{INPUT: tf.constant(pixels)})[OUTPUT].numpy()
        return result

    predict.model = loaded  # type: ignore[attr-defined]  # the function does not keep it alive
    return predict
