"""The temperature against SciPy and by hand, on networks whose true one is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from tenfold.data.dataset import Split
from tenfold.errors import RunError
from tenfold.evaluation import calibration
from tenfold.evaluation.calibration import Calibration, calibrate, fit_temperature, save_calibration
from tenfold.evaluation.reliability import Reliability, expected_calibration_error
from tenfold.run import Run


def drawn(temperature: float, count: int = 20_000, classes: int = 5) -> tuple[Any, Any]:
    """Logits whose labels were drawn from their softmax at that temperature."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (count, classes)).astype(np.float32)
    noise = random.gumbel(size=logits.shape)
    return logits, (logits / temperature + noise).argmax(axis=1)


def loss(logits: Any, labels: Any, temperature: float) -> float:
    logs = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-logs[np.arange(len(labels)), labels].mean())


def split_of(logits: NDArray[np.float32], labels: Any) -> tuple[Split, Any]:
    """A split whose pictures hold their own number, and the network with those logits."""
    count = len(labels)
    images = np.zeros((count, 2, 2, 3), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.arange(count) % 256, np.arange(count) // 256
    split = Split("validation", images, np.asarray(labels, np.int32), np.arange(count))

    def network(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        values = pixels[:, 0, 0].astype(int)
        result: NDArray[np.float32] = logits[values[:, 0] + 256 * values[:, 1]]
        return result

    return split, network


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("unit", [1.0, 1e5])
def test_the_temperature_that_drew_the_labels_is_found(temperature: float, unit: float) -> None:
    logits, labels = drawn(temperature)
    found, reason = fit_temperature(logits * np.float32(unit), labels)
    assert reason is None
    assert found == pytest.approx(temperature * unit, rel=0.05)


def test_no_other_temperature_is_likelier() -> None:
    logits, labels = drawn(1.7, count=500)
    found, _ = fit_temperature(logits, labels)
    best = minimize(lambda t: loss(logits, labels, t[0]), [1.0], method="Nelder-Mead")
    assert found == pytest.approx(float(best.x[0]), rel=1e-3)


def test_a_calibration_says_what_it_was_fitted_on_and_what_it_gained() -> None:
    logits, labels = drawn(2.0, count=3000)
    split, network = split_of(logits, labels)
    fitted = calibrate(split, network)
    assert (fitted.split, fitted.count, fitted.reason) == ("validation", 3000, None)
    assert fitted.before is not None
    assert fitted.after is not None
    assert fitted.before.loss == pytest.approx(loss(logits, labels, 1.0))
    assert fitted.after.loss == pytest.approx(loss(logits, labels, fitted.temperature))
    assert fitted.after.expected_calibration_error < 0.3 * fitted.before.expected_calibration_error


def test_no_batch_is_larger_than_is_allowed() -> None:
    split, network = split_of(*drawn(2.0, count=50))
    sizes: list[int] = []

    def watched(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        sizes.append(len(pixels))
        result: NDArray[np.float32] = network(pixels)
        return result

    assert calibrate(split, watched, batch_size=16) == calibrate(split, network)
    assert max(sizes) == 16


def test_of_a_large_split_a_sample_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = drawn(2.0, count=5000)
    monkeypatch.setattr(calibration, "_MOST_LOGITS", 10_000)
    fitted = calibrate(*split_of(logits, labels))
    assert fitted.count == 2000
    assert fitted.temperature == pytest.approx(2.0, rel=0.1)


def test_without_validation_pictures_the_temperature_is_1_and_says_why() -> None:
    fitted = calibrate(*split_of(np.empty((0, 3), np.float32), []))
    assert (fitted.temperature, fitted.count, fitted.before) == (1.0, 0, None)
    assert "no validation pictures" in str(fitted.reason)


def test_pictures_that_are_all_right_show_no_doubt() -> None:
    logits, _ = drawn(1.0, count=50)
    fitted = calibrate(*split_of(logits, logits.argmax(axis=1)))
    assert fitted.temperature == 1.0
    assert "every validation picture is predicted rightly" in str(fitted.reason)
    assert fitted.before == fitted.after


def test_pictures_of_one_class_and_constant_logits_are_taken() -> None:
    logits, _ = drawn(1.0, count=300)
    found, _ = fit_temperature(logits, np.zeros(300, int))
    assert np.isfinite(found)
    assert fit_temperature(np.ones((9, 3), np.float32), np.zeros(9, int))[0] == 1.0


def test_a_network_worse_than_chance_becomes_unsure_and_keeps_its_order() -> None:
    logits, _ = drawn(1.0, count=300)
    found, _ = fit_temperature(logits, logits.argmin(axis=1))
    probabilities = softmax(logits / np.float32(found), axis=1)
    assert probabilities.max() < 0.21
    np.testing.assert_array_equal(probabilities.argmax(axis=1), logits.argmax(axis=1))


def test_logits_that_are_not_finite_are_left_out() -> None:
    logits, labels = drawn(2.0, count=400)
    damaged = logits.copy()
    damaged[:100, 2] = np.nan
    damaged[100:200, 0] = np.inf
    fitted = calibrate(*split_of(damaged, labels))
    assert fitted.count == 200
    assert fitted.temperature == fit_temperature(logits[200:], labels[200:])[0]
    fitted = calibrate(*split_of(np.full((4, 3), np.nan, np.float32), [0, 1, 2, 0]))
    assert (fitted.temperature, fitted.count) == (1.0, 0)
    assert "no finite logits" in str(fitted.reason)


@given(st.floats(1e-3, 1e3), st.integers(0, 10**6))
def test_a_temperature_changes_no_prediction(temperature: float, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 5, (20, 4)).astype(np.float32)
    calibrated = log_softmax(logits / np.float32(temperature), axis=1)
    np.testing.assert_array_equal(calibrated.argmax(axis=1), logits.argmax(axis=1))


def test_the_file_is_read_back_and_one_that_cannot_be_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.temperature() == 1.0  # as in runs that were made before there was one
    save_calibration(run, calibrate(*split_of(*drawn(2.0, count=300))))
    assert run.temperature() == json.loads(run.calibration_path.read_text())["temperature"] > 1.5
    save_calibration(run, Calibration(reason="none"))
    assert run.temperature() == 1.0
    for damaged in (0.0, -1.0, "hot", None, True):
        whole = json.loads(run.calibration_path.read_text())
        run.calibration_path.write_text(json.dumps({**whole, "temperature": damaged}))
        with pytest.raises(RunError, match=r"damaged: calibration\.json, temperature"):
            run.temperature()
    run.calibration_path.write_text("{")
    with pytest.raises(RunError, match=r"calibration\.json is not a JSON object"):
        run.temperature()


def test_the_calibration_error_by_hand() -> None:
    # Bins of a fifteenth: 0.6 is the upper edge of the ninth, 0.65 and 0.66 lie in the tenth.
    probabilities = np.array([[0.6, 0.4], [0.65, 0.35], [0.34, 0.66], [0.0, 1.0]])
    reliability = Reliability().added(np.array([0, 0, 0, 1]), probabilities)
    assert reliability.counts == (0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1)
    assert reliability.correct == (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1)
    expected = (abs(1 - 0.6) + 2 * abs(1 / 2 - 0.655) + abs(1 - 1.0)) / 4
    assert expected_calibration_error(reliability) == pytest.approx(expected)


def test_the_calibration_error_does_not_depend_on_the_batches() -> None:
    logits, labels = drawn(3.0, count=1000)
    probabilities = softmax(logits, axis=1)
    parts = Reliability().added(labels[:300], probabilities[:300])
    parts = parts.added(labels[300:300], probabilities[300:300])
    parts = parts.added(labels[300:], probabilities[300:])
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.digitize(confidence, np.linspace(0, 1, 16)[1:-1], right=True)
    expected = sum(
        abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    )
    assert expected_calibration_error(parts) == pytest.approx(expected, rel=1e-5)
    assert np.isnan(expected_calibration_error(Reliability()))
