"""Run folders of every kind, written in moments because nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.data.dataset import Split
from tenfold.evaluation import Evaluation, Result, evaluate_probabilities, save_result
from tenfold.evaluation.collect import DetailCollector
from tenfold.evaluation.details import Augmented, Details, save_details, with_pictures
from tenfold.files import atomic_write_json, atomic_write_text
from tenfold.pages import data_uri
from tenfold.recipe import load_recipe
from tenfold.run import Run

MakeRun = Callable[..., Run]


def predictions(
    classes: int, count: int, skill: float = 2.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities of a model that is right more often the greater its skill."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    logits = generator.normal(0, 1, (count, classes))
    logits[np.arange(count), labels] += skill
    # Neighbours are alike, so that some pairs are confused more than others.
    logits[np.arange(count), (labels + 1) % classes] += skill / 2
    powers = np.exp(1.5 * (logits - logits.max(axis=1, keepdims=True)))
    return labels, (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def pictures(labels: np.ndarray, side: int) -> np.ndarray:
    """A shape in a colour for each label, uint8 (n, side, side, 3)."""
    generator = np.random.default_rng(1)
    colours = generator.integers(60, 256, (int(labels.max()) + 1, 3))
    y, x = np.mgrid[:side, :side] / side - 0.5
    shapes = [x**2 + y**2 < 0.15, abs(x) + abs(y) < 0.4, abs(x - y) < 0.2, abs(x) < 0.2]
    drawn = np.full((len(labels), side, side, 3), 30, np.uint8)
    for picture, label in zip(drawn, labels, strict=True):
        picture[shapes[label % 4]] = colours[label]
    return drawn


def records(epochs: int, validation: bool = True, nan_from: int | None = None) -> list[Any]:
    """What a training of that many epochs records."""
    kept = []
    for epoch in range(1, epochs + 1):
        loss = 2.2 / epoch**0.6 if nan_from is None or epoch < nan_from else float("nan")
        common = {"loss": loss, "accuracy": 1 - 0.8 / epoch**0.5, "learning_rate": 0.004}
        kept.append(
            {"event": "step", "step": epoch * 10 - 5, "epoch": epoch - 0.5, **common}
            | {"images_per_second": 600.0}
        )
        checked = {"validation_loss": loss * 0.9, "validation_accuracy": 1 - 0.7 / epoch**0.5}
        kept.append(
            {"event": "epoch", "epoch": epoch, "step": epoch * 10, **common}
            | {"images_per_second": 600.0, "seconds": 12.5}
            | (checked if validation else {})
        )
    return kept


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a run folder; what is None is left out, as a training that was cut off does."""

    def make(
        folder: str = "made",
        *,
        names: Sequence[str] = tuple("abcdefghij"),
        recipe: str = "lab-2",
        overrides: Sequence[str] = (),
        predicted: tuple[np.ndarray, np.ndarray] | None = None,
        epochs: int = 10,
        validation: bool = True,
        nan_from: int | None = None,
        finished: bool = True,
        detailed: bool = True,
        temperature: float = 1.0,
        side: int = 32,
        source: str = "cifar10",
        skipped: Sequence[Sequence[str]] = (),
        findings: Sequence[str] = (),
        origins: bool = True,
        path: Path | None = None,
    ) -> Run:
        run = Run((path or tmp_path) / folder)
        run.path.mkdir()
        atomic_write_text(run.recipe_path, load_recipe(recipe, overrides).to_toml())
        labels, probabilities = predicted or predictions(len(names), 2000)
        if origins:
            write_origins(run, names, source, side, len(labels), validation, skipped)
        for record in records(epochs, validation, nan_from):
            run.record(record)
        if not finished:
            return run
        collector = DetailCollector(temperature)
        test = evaluate_probabilities(collector.watch([(labels, probabilities)]), names)
        if detailed:
            save_details(run, shown(collector.details(test), labels, side, findings))
        save_result(run, result(test, epochs))
        return run

    return make


def write_origins(
    run: Run,
    names: Sequence[str],
    source: str,
    side: int,
    count: int,
    validation: bool,
    skipped: Sequence[Sequence[str]],
) -> None:
    splits = {"train": 45_000, "validation": 5_000 * validation, "test": count}
    options = {"size": side, "validation": 0.1, "test": 0.2, "seed": 0}
    atomic_write_json(
        run.source_path,
        {"name": source, "kind": "cifar", "fingerprint": "f605f89de28c7dfb" * 4, "splits": splits}
        | {"options": options, "skipped": skipped},
    )
    machine = {"system": "Linux-6.1-x86_64", "cpu": "AMD EPYC", "cores": 2, "memory_total": 8e9}
    atomic_write_json(
        run.environment_path,
        {"machine": machine, "versions": {"python": "3.11.7", "tenfold": "0.1.0"}, "seed": 0}
        | {"precision": "float32", "precision_reason": "the processor would emulate bf16"},
    )
    atomic_write_json(
        run.preprocessing_path,
        {"size": side, "offset": [1.0] * 3, "scale": [1.0] * 3, "class_names": names},
    )


def shown(details: Details, labels: np.ndarray, side: int, findings: Sequence[str]) -> Details:
    """The details with pictures, as a training leaves them."""
    drawn = pictures(labels, side)
    split = Split("test", drawn, labels.astype(np.int32), np.arange(len(labels)))
    augmented = tuple(
        Augmented(int(label), tuple(data_uri(np.roll(picture, 3 * n, 1)) for n in range(6)))
        for picture, label in zip(drawn[:6], labels[:6], strict=True)
    )
    return Details(
        reliability=details.reliability,
        mistakes=with_pictures(details.mistakes, split),
        confused=with_pictures(details.confused, split),
        temperature=details.temperature,
        uncalibrated=details.uncalibrated,
        augmented=augmented,
        findings=tuple(findings),
    )


def result(test: Evaluation, epochs: int) -> Result:
    return Result(
        test=test,
        seconds=836.6,
        images_per_second=601.2,
        peak_memory_bytes=1_046_000_000,
        epochs=epochs,
        steps=epochs * 10,
        parameters=319_818,
        precision="float32",
        started="2026-11-23T10:00:00+00:00",
        finished="2026-11-23T10:14:00+00:00",
    )
