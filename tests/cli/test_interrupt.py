"""Ctrl-C in the middle of a training: the work is kept, and the user is told where."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import keras

from .conftest import COMMAND, Invoke


def test_ctrl_c_keeps_the_model_and_says_where(tenfold: Invoke, here: Path) -> None:
    endless = ["--recipe", "lab-1", "--rows", "60", "--epochs", "100000", "--out", "runs/cut"]
    process = subprocess.Popen(
        [*COMMAND, "train", *endless],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    shown = []
    for line in process.stderr:
        shown.append(line)
        if line.startswith("epoch"):
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            break
    try:
        out, rest = process.communicate(timeout=120)
    finally:
        process.kill()  # what does not heed Ctrl-C would train for hours

    assert process.returncode == 130, [*shown, rest]
    assert out == ""
    assert "Traceback" not in rest
    last = rest.splitlines()[-3:]
    assert last == [
        "run runs/cut is unfinished; its model is runs/cut/model.keras",
        "go on with: tenfold train --resume --out runs/cut",
        "tenfold: interrupted",
    ]
    assert keras.models.load_model(here / "runs/cut/model.keras").output_shape == (None, 10)
    (listed,) = tenfold("runs", "list", "--json").json()["runs"]
    assert (listed["run"], listed["state"]) == ("runs/cut", "unfinished")
