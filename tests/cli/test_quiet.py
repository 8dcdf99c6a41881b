"""What TensorFlow writes while it is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

STAND_IN = """
import os, sys
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written\\n")
os.write(2, b"I0000 00:00:1 7 port.cc:153] oneDNN custom operations are on. You may see\\n")
print("a library is missing", file=sys.stderr)
value = 7
"""

PROGRAM = """
import sys
from tenfold.cli._quiet import quiet_tensorflow
quiet_tensorflow()
import tensorflow
print(tensorflow.value, tensorflow.__spec__.loader is tensorflow.__loader__)
print("after", file=sys.stderr)
import os
os.write(2, b"oneDNN custom operations are on\\n")
"""


def run(tmp_path: Path, program: str, stand_in: str = STAND_IN) -> subprocess.CompletedProcess[str]:
    (tmp_path / "tensorflow.py").write_text(stand_in)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{program}"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_its_notes_are_held_back_and_nothing_else_is(tmp_path: Path) -> None:
    done = run(tmp_path, PROGRAM)
    assert done.stdout == "7 True\n"
    # Once it is imported, nothing is held back any more.
    assert done.stderr.splitlines() == [
        "a library is missing",
        "after",
        "oneDNN custom operations are on",
    ]


def test_an_import_that_fails_says_what_it_said(tmp_path: Path) -> None:
    done = run(tmp_path, PROGRAM, STAND_IN + "raise ImportError('no such library')\n")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "a library is missing"
    assert lines[-1] == "ImportError: no such library"


def test_standard_error_may_be_closed(tmp_path: Path) -> None:
    done = run(
        tmp_path, "import os; os.close(2)\n" + PROGRAM.partition('print("after"')[0], "value = 7"
    )
    assert (done.returncode, done.stdout) == (0, "7 True\n")
