"""The command line in this process, its answers captured, and one trained run for all tests."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tenfold import cli

COMMAND = [sys.executable, "-m", "tenfold"]


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """The one object on stdout."""
        assert self.code == 0, self.err
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


Invoke = Callable[..., Outcome]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / ".cache"))
    monkeypatch.delenv("TENFOLD_MIRROR", raising=False)
    return tmp_path


@pytest.fixture
def tenfold(here: Path, capfd: pytest.CaptureFixture[str]) -> Invoke:
    """Runs a command; what it writes is captured beneath Python, as a pipe would."""

    def invoke(*arguments: str | Path) -> Outcome:
        capfd.readouterr()
        code = cli.invoke([str(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    return invoke


@pytest.fixture
def refused(tenfold: Invoke) -> Callable[..., str]:
    """Runs a command that must be refused in one line, after progress at most: the line."""

    def invoke(*arguments: str | Path) -> str:
        outcome = tenfold(*arguments)
        assert outcome.code == 2, outcome
        assert outcome.out == ""
        *before, line = outcome.err.splitlines()
        assert all(progress.startswith("prepared ") for progress in before), outcome.err
        assert line.startswith("tenfold: ")
        return line

    return invoke


@dataclass(frozen=True)
class Trained:
    """A finished run in a folder of its own, and what the command that made it printed."""

    run: Path
    outcome: Outcome


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A short training in a process of its own; shared, so copy the run before changing it."""
    folder = tmp_path_factory.mktemp("trained")
    run = folder / "runs" / "first"
    (folder / "digits").mkdir()  # is not what is meant by digits, then or later
    short = ["--rows", "60", "--test-rows", "40", "--epochs", "1"]
    short += ["--set", "training.precision=float32"]  # as exports compute, on every processor
    process = subprocess.run(
        [*COMMAND, "train", "digits", "--recipe", "lab-1", *short, "--json", "--out", run],
        cwd=folder,
        env={**os.environ, "TENFOLD_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    return Trained(run, Outcome(process.returncode, process.stdout, process.stderr))


def encoded(shade: int = 0, form: str = "PNG") -> bytes:
    """A small picture file."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade % 256, 100, 200)).save(buffer, form)
    return buffer.getvalue()


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files by path and content; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def pictures(classes: int = 2, each: int = 10) -> dict[str, bytes]:
    """A tree of good pictures by path."""
    return {
        f"class-{label}/{number:03}.png": encoded(number + 50 * label)
        for label in range(classes)
        for number in range(each)
    }


def arrays(classes: int = 2, each: int = 10) -> dict[str, np.ndarray]:
    """The arrays of an .npz source."""
    labels = np.repeat(np.arange(classes), each)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8, 3), np.uint8)
    return {"images": images, "labels": labels}
