"""Which of its two sets of operations TensorFlow computes with."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = "import tenfold, tensorflow; tensorflow.zeros(1)"


@pytest.mark.parametrize(("setting", "on"), [(None, True), ("0", False)])
def test_onednn_computes_unless_the_user_says_otherwise(setting: str | None, on: bool) -> None:
    variables = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    if setting is not None:
        variables["TF_ENABLE_ONEDNN_OPTS"] = setting
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert ("oneDNN custom operations are on" in done.stderr) == on
