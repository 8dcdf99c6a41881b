"""The short version of the harness; ``python tests/faults/kill.py --kills 200`` is the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_killed_trainings_end_in_the_same_bits() -> None:
    harness = [sys.executable, Path(__file__).with_name("kill.py"), "--kills", "3"]
    quick = ["--recipes", "lab-1", "--precisions", "float32"]
    process = subprocess.run([*harness, *quick], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.splitlines()[-1].startswith("3 of 3 ended in the same bits; killed ")
    assert "inside a checkpoint's write" in process.stdout
