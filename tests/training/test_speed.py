"""The speed test: real steps are timed, and nothing but steps."""

from __future__ import annotations

import math

import pytest

from tenfold.recipe import Recipe, load_recipe
from tenfold.training import speed
from tenfold.training.portions import EVALUATION


@pytest.fixture(scope="module")
def measured() -> tuple[speed.Speed, list[tuple[str, float]]]:
    """A measurement as short as can be, and the progress that it told."""
    told: list[tuple[str, float]] = []
    recipe = load_recipe("lab-1", ["training.batch_size=16", "training.epochs=3", "data.rows=900"])
    found = speed.measure_speed(
        recipe, seconds=0.1, progress=lambda task, left: told.append((task, left))
    )
    return found, told


def test_a_recipe_is_measured_as_it_would_train(
    measured: tuple[speed.Speed, list[tuple[str, float]]],
) -> None:
    found, _ = measured
    assert (found.recipe, found.batch_size, found.epochs, found.pictures) == ("lab-1", 16, 3, 900)
    assert found.steps >= 5
    assert 0 < found.images_per_second.low <= found.images_per_second.middle
    assert found.images_per_second.middle <= found.images_per_second.high
    assert found.parameters == 2_432 + 524_352 + 650
    assert found.matrix_gflops > 0
    # 5x5x3x32 at 32x32 places, 8192x64, 64x10: forward and in the gradients that are needed.
    flops = 2 * (2 * 2_457_600 + 3 * (524_288 + 640))
    assert found.step_gflops == pytest.approx(flops * found.images_per_second.middle / 1e9)


def test_the_estimate_is_of_all_epochs_and_wide_as_the_speed(
    measured: tuple[speed.Speed, list[tuple[str, float]]],
) -> None:
    found, _ = measured
    rate, whole = found.images_per_second, found.seconds
    assert whole.low < whole.middle < whole.high
    # What is not steps, building and validation, is the same in all three.
    rest = [
        seconds - 3 * 900 / images
        for seconds, images in zip(
            (whole.low, whole.middle, whole.high), (rate.high, rate.middle, rate.low), strict=True
        )
    ]
    assert rest[0] > 0
    assert rest == pytest.approx([rest[0]] * 3)


def test_progress_tells_what_is_done_and_for_how_long(
    measured: tuple[speed.Speed, list[tuple[str, float]]],
) -> None:
    _, told = measured
    tasks = list(dict.fromkeys(task for task, _ in told))
    assert tasks == ["building the network", "training", "multiplying matrices"]
    assert told[0][1] == math.inf
    training = [left for task, left in told if task == "training"]
    assert training == sorted(training, reverse=True)


def test_all_pictures_that_are_not_held_out_are_counted() -> None:
    recipe = Recipe()
    assert recipe.data.validation == 0.1
    assert speed.training_pictures(recipe) == 45_000
    assert speed.training_pictures(recipe.overridden(["data.validation=0"])) == 50_000
    assert speed.training_pictures(recipe.overridden(["training.share=0.5"])) == 22_500


def test_the_clock_counts_steps_and_leaves_out_building_and_validation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now)
    clock = speed._Clock(4.0, lambda *_: None)

    class Model:
        stop_training = False

    model = Model()
    clock.set_model(model)

    def step(seconds: float) -> None:
        nonlocal now
        now += seconds
        clock.on_train_batch_end(0)

    step(7.0)  # builds the graph
    step(3.0)
    for _ in range(3):
        step(0.5)
    for seconds in (2.0, 0.256, 0.256):  # validation; its first batch builds a graph too
        now += seconds
        clock.on_test_batch_end(0)
    clock.on_test_end()
    for _ in range(4):
        step(0.5)
    assert not model.stop_training
    step(0.5)
    assert model.stop_training
    assert clock.building_seconds == 7.0
    assert clock.step_ends[-1] - clock.step_ends[0] == pytest.approx(8 * 0.5)
    assert clock.validation_seconds_a_picture == pytest.approx(0.256 / EVALUATION)


@pytest.mark.parametrize(
    ("ends", "steps"),
    [
        ([0.0, 1.0, 3.0, 3.5, 4.5, 5.0], [1.0, 2.0, 0.5, 1.0, 0.5]),
        ([float(i) for i in range(21)], [1.0] * 10),
        ([0.0] * 10 + [1.0] * 11, [0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0]),
    ],
)
def test_the_spread_is_that_of_parts_of_the_time(ends: list[float], steps: list[float]) -> None:
    assert speed._block_steps(ends) == pytest.approx(steps)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_matrices_are_multiplied_in_either_precision(
    monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr(speed, "_MATRIX", 8)
    monkeypatch.setattr(speed, "_MATRIX_SECONDS", 0.0)
    assert speed._matrix_gflops(precision, lambda *_: None) > 0
