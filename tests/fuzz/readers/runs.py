"""Run folders: every file of one, read by all that reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from tenfold.errors import RunError
from tenfold.evaluation.details import load_details
from tenfold.evaluation.report import write_report
from tenfold.evaluation.result import load_result
from tenfold.recipe import Recipe
from tenfold.run import Run, list_runs, load_run

from ..mutation import TEXTS, damaged, damaged_value
from ..reader import File, Reader

_SOURCE = {
    "name": "digits", "kind": "digits", "fingerprint": "0" * 64,
    "splits": {"train": 60, "validation": 6, "test": 40},
    "options": {"size": 8, "validation": 0.1, "test": 0.2, "rows": 60, "test_rows": 40, "seed": 0},
    "skipped": [["a.png", "truncated"]],
}  # fmt: skip
_ENVIRONMENT = {
    "machine": {"system": "Linux", "cpu": "one", "cores": 2}, "versions": {"keras": "3.10"},
    "precision": "float32", "precision_reason": "no bf16", "seed": 0,
}  # fmt: skip
_PREPROCESSING = {
    "size": 8, "offset": [1.0, 2.0, 3.0], "scale": [4.0, 5.0, 6.0], "class_names": ["cat", "dog"],
}  # fmt: skip
_RESULT = {
    "test": {
        "class_names": ["cat", "dog"], "class_counts": [2, 2], "confusion": [[2, 0], [1, 1]],
        "loss": 0.5, "count": 4, "correct": 3, "accuracy": 0.75, "interval": [0.3, 0.9],
        "class_accuracy": [1.0, 0.5], "not_finite": 0,
    },
    "seconds": 1.5, "images_per_second": 100.0, "peak_memory_bytes": 1000, "epochs": 1, "steps": 3,
    "parameters": 99, "precision": "float32", "started": "2026-01-02T03:04:05+00:00",
    "finished": "2026-01-02T03:04:06+00:00", "schema": 1,
}  # fmt: skip
_METRICS = [
    {"event": "step", "step": 50, "epoch": 0.5, "loss": 2.3, "accuracy": 0.1},
    {"event": "epoch", "epoch": 1, "step": 100, "loss": None, "seconds": 1.0},
    {"event": "test", "accuracy": 0.75, "loss": 0.5},
]
_QUALITY = {"loss": 0.5, "expected_calibration_error": 0.1}
_CALIBRATION = {
    "temperature": 1.5, "split": "validation", "count": 6, "before": _QUALITY, "after": _QUALITY,
    "reason": None,
}  # fmt: skip
_BINS = {"counts": [0, 1, 3], "correct": [0, 1, 2], "confidence": [0.0, 0.5, 2.5]}
_PICTURE = "data:image/png;base64,iVBORw0KGgo="
_MISTAKE = {"position": 3, "true": 1, "predicted": 0, "confidence": 0.9, "picture": _PICTURE}
_DETAILS = {
    "reliability": _BINS, "mistakes": [_MISTAKE], "confused": [_MISTAKE], "temperature": 1.5,
    "uncalibrated": _BINS, "augmented": [{"label": 1, "pictures": [_PICTURE, _PICTURE]}],
    "findings": ["Two pictures are in two splits."], "schema": 1,
}  # fmt: skip
_OBJECTS: dict[str, dict[str, Any]] = {
    "source.json": _SOURCE, "environment.json": _ENVIRONMENT,
    "preprocessing.json": _PREPROCESSING, "result.json": _RESULT,
    "calibration.json": _CALIBRATION, "details.json": _DETAILS,
}  # fmt: skip


def _seeds() -> list[File]:
    objects = [File(name, json.dumps(value).encode()) for name, value in _OBJECTS.items()]
    lines = "".join(json.dumps(record) + "\n" for record in _METRICS)
    recipe = Recipe(name="lab-2").to_toml()
    return [*objects, File("metrics.jsonl", lines.encode()), File("recipe.toml", recipe.encode())]


def _prepare(folder: Path) -> None:
    run = folder / "run"
    run.mkdir()
    for file in _seeds():
        (run / file.name).write_bytes(file.content)


def _mutate(rng: Random, seeds: Sequence[File]) -> File:
    seed = rng.choice(seeds)
    value: Any
    match rng.randrange(3):
        case 0 if seed.name in _OBJECTS:
            value = damaged_value(rng, _OBJECTS[seed.name])
        case 1 if seed.name == "metrics.jsonl":
            value = damaged_value(rng, rng.choice(_METRICS))
        case 2 if rng.random() < 0.3:
            depth = rng.choice((10, 900, 100_000))
            text = rng.choice(
                ("[" * depth, '{"a":' * depth, "[" * depth + "]" * depth, "1" * depth)
            )
            return File(seed.name, text.encode() + b"\n")
        case _:
            return File(seed.name, damaged(rng, seed.content, [other.content for other in seeds]))
    text = json.dumps(value).replace(
        '"null"', rng.choice(("NaN", "-Infinity", json.dumps(rng.choice(TEXTS))))
    )
    raw = text.encode()
    if rng.random() < 0.1:
        raw = damaged(rng, raw)
    return File(seed.name, raw + b"\n" if seed.name == "metrics.jsonl" else raw)


def _read(file: File, folder: Path) -> None:
    path = folder / "run" / file.name
    sound = path.read_bytes()
    path.write_bytes(file.content)
    try:
        _read_run(folder)
    finally:
        path.write_bytes(sound)


def _read_run(folder: Path) -> None:
    (listed,) = list_runs(folder)
    damage = listed.damage  # must never raise
    run = load_run(folder / "run")
    readings = (run.recipe, run.source, run.environment, run.preprocessing, run.metrics,
                run.calibration, run.temperature, lambda: load_result(run).to_json(),
                lambda: load_details(run, len(_PREPROCESSING["class_names"])),
                lambda: str(write_report(run)))  # fmt: skip
    refused: RunError | None = None
    for reading in readings:
        try:
            json.dumps(reading(), default=repr)
        except RunError as error:  # the other files are read all the same
            refused = error
    if refused or damage:
        raise refused or RunError(damage or "")
    with suppress(RunError):
        Run(folder / "run").saved_model()


READERS = (Reader("run folder", _seeds, _mutate, _read, 1, _prepare),)
