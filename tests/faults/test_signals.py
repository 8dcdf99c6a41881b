"""SIGTERM in each phase of a training: what was done is kept, and the rest is done later."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

import tenfold
from tenfold.api import TrainingInterrupted
from tenfold.run import Run
from tenfold.training.keeper import CheckpointInterval
from tenfold.training.stop import Stop, Terminated

OVERRIDES = ("data.rows=60", "data.test_rows=40", "training.epochs=2", "training.batch_size=30")
EVERY = CheckpointInterval(seconds=None, steps=1)


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENFOLD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def terminate(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class During(keras.callbacks.Callback):
    """Terminates at one event, once, and counts steps."""

    def __init__(self, event: str) -> None:
        super().__init__()
        self.steps = 0
        self._event = event

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps += 1
        self._at("step")

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._at("validation")

    def on_train_begin(self, logs: Any = None) -> None:
        self._at("beginning")

    def _at(self, event: str) -> None:
        if self._event == event:
            self._event = ""
            terminate()


Patch = Callable[[pytest.MonkeyPatch], None]


def before(name: str, act: Callable[..., None]) -> Patch:
    """Makes a function of ours do something before its work, when it is first called."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        module, _, attribute = name.rpartition(".")
        found = getattr(pytest.importorskip(module), attribute)

        acts = iter([act])

        def acting(*arguments: Any, **settings: Any) -> Any:
            next(acts, lambda: None)()
            return found(*arguments, **settings)

        monkeypatch.setattr(name, acting)

    return patch


PHASES: dict[str, tuple[str, Patch | None, int]] = {
    "before the first step": ("beginning", None, 0),
    "training": ("step", None, 1),
    "checkpoint write": ("", before("tenfold.training.checkpoint._put", terminate), 1),
    "validation": ("validation", None, 2),
    "saving": ("", before("tenfold.api._train.atomic_path", terminate), 0),
    "test": ("", before("tenfold.api._train.evaluate_probabilities", terminate), 0),
    "result": ("", before("tenfold.api._train.save_result", terminate), 0),
}
"""What is interrupted at which event or by which patch, and the steps that were done until then."""


def test_terminated_in_each_phase_a_run_goes_on_from_there_and_does_no_step_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    for phase, (event, patch, steps) in PHASES.items():
        during = During(event)
        with monkeypatch.context() as patched, pytest.raises(TrainingInterrupted) as caught:
            if patch:
                patch(patched)
            go_on(out, during)
        assert caught.value.reason == "SIGTERM", phase
        assert not caught.value.run.finished, phase
        assert during.steps == steps, phase
    counter = During("")
    run = go_on(out, counter)
    assert counter.steps == 0
    assert run.finished
    assert run.damage is None
    assert [record["event"] for record in run.metrics()] == ["epoch", "epoch", "test"]
    assert not [path for path in run.path.iterdir() if path.name.startswith(".")]


def go_on(out: Path, callback: keras.callbacks.Callback) -> Run:
    """Train four steps, from what lies there on."""
    settings: dict[str, Any] = {"checkpoints": EVERY, "callbacks": lambda *_: [callback]}
    if out.exists():
        return tenfold.resume(out, **settings)
    return tenfold.train("digits", "lab-1", overrides=OVERRIDES, out=out, **settings)


def test_terminated_in_the_preparation_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    with pytest.raises(Terminated):
        tenfold.train("digits", "lab-1", out=tmp_path / "run", progress=terminate)
    assert not (tmp_path / "run").exists()
    assert not list((tmp_path / "cache").rglob("*.partial"))


def test_a_second_signal_does_not_wait() -> None:
    stop = Stop()
    with stop.listening(), stop.deferred():
        terminate()
        assert stop.reason == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as under nohup
    try:
        stop = Stop()
        with stop.listening():
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.reason is None
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
