"""What a user may have meant."""

import pytest

from tenfold.suggestions import did_you_mean, did_you_mean_setting

SETTINGS = [
    "name",
    "seed",
    "data.rows",
    "optimizer.name",
    "optimizer.learning_rate",
    "optimizer.clip_norm",
    "training.epochs",
    "training.batch_size",
    "training.label_smoothing",
]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("epochs", "training.epochs"),
        ("training.learning_rate", "optimizer.learning_rate"),
        ("optimizer.lr", "optimizer.learning_rate"),
        ("lr", "optimizer.learning_rate"),
        ("optimizer.rate", "optimizer.learning_rate"),
        ("data.batch", "training.batch_size"),
        ("training.epoch", "training.epochs"),
        ("optimizer.learnign_rate", "optimizer.learning_rate"),
        ("optimiser", "optimizer"),
        ("opt", "optimizer"),
        ("sed", "seed"),
    ],
)
def test_a_misremembered_setting_is_recognized(key, meant):
    assert did_you_mean_setting(key, SETTINGS) == f" (did you mean '{meant}'?)"


@pytest.mark.parametrize("key", ["colour", "optimizer.colour", "colour.depth", "optimizer.x", ""])
def test_nothing_is_suggested_for_what_resembles_nothing(key):
    assert did_you_mean_setting(key, SETTINGS) == ""


def test_a_word_is_compared_as_a_whole():
    assert did_you_mean("lab2", ["lab-1", "lab-2"]) == " (did you mean 'lab-2'?)"
    assert did_you_mean("resnet", ["lab-1", "lab-2"]) == ""
