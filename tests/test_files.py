"""Files are whole or absent, and failures to write name the place and the mend."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import OutputError
from tenfold.files import (
    append_line,
    atomic_path,
    atomic_write_bytes,
    atomic_write_json,
    atomic_write_text,
    to_json,
    translate_output_errors,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "model.keras"
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent  # else the rename could cross file systems
        assert temporary.suffix == ".keras"
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert names(path.parent) == ["model.keras"]


@pytest.mark.parametrize("exception", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, exception: type[BaseException]
) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(exception), atomic_path(path) as temporary:
        temporary.write_text("half of the new")
        raise exception
    assert path.read_text() == "old"
    assert names(tmp_path) == ["result.json"]


def test_a_process_that_is_killed_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    program = f"""
import os, signal
from pathlib import Path
from tenfold.files import atomic_path
with atomic_path(Path({str(path)!r})) as temporary:
    temporary.write_text("half of the new")
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert path.read_text() == "old"


def test_content_reaches_the_disk_before_the_name_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("sync"))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b)))
    atomic_write_bytes(tmp_path / "file", b"content")
    assert calls == ["sync", "rename", "sync"]


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EFBIG, "grew beyond"),
        (errno.EACCES, "permission denied"),
        (errno.ENOTDIR, "a file lies where a folder is needed"),
    ],
)
def test_failures_to_write_name_the_place_and_the_mend(
    tmp_path: Path, number: int, mend: str
) -> None:
    path = tmp_path / "model.keras"
    with pytest.raises(OutputError, match=mend) as caught, atomic_path(path) as temporary:
        raise OSError(number, os.strerror(number), str(temporary))
    assert str(path) in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT])
def test_failures_to_read_something_else_are_not_blamed_on_the_output(
    tmp_path: Path, number: int
) -> None:
    with pytest.raises(OSError, match="elsewhere"), translate_output_errors(tmp_path / "out"):
        raise OSError(number, os.strerror(number), "/elsewhere/picture.png")


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    for path in (tmp_path / "runs" / "recipe.toml", tmp_path / "runs" / "first" / "recipe.toml"):
        with pytest.raises(OutputError, match="a file lies where a folder is needed"):
            atomic_write_text(path, "")


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"gone/metrics.jsonl: its folder is gone"):
        append_line(tmp_path / "gone" / "metrics.jsonl", "{}")


def test_a_folder_where_a_file_is_needed(tmp_path: Path) -> None:
    (tmp_path / "curves.png").mkdir()
    with pytest.raises(OutputError, match="a folder lies where a file is needed"):
        atomic_write_text(tmp_path / "curves.png", "")
    assert names(tmp_path) == ["curves.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission denied"):
        atomic_write_text(tmp_path / "file", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes")
def test_a_disk_that_takes_no_more_leaves_no_half_file(tmp_path: Path) -> None:
    program = f"""
import resource, signal
from pathlib import Path
from tenfold.errors import OutputError
from tenfold.files import append_line, atomic_write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
folder = Path({str(tmp_path)!r})
for write in (
    lambda: atomic_write_bytes(folder / "large", bytes(20_000)),
    lambda: append_line(folder / "lines", "x" * 20_000),
):
    try:
        write()
    except OutputError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
append_line(folder / "lines", "short")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.count("grew beyond") == 2
    assert names(tmp_path) == ["lines"]
    assert (tmp_path / "lines").read_text() == "short\n"  # what was torn is gone


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with (
        pytest.raises(OutputError, match=r"metrics.jsonl.*disk is full"),
        translate_output_errors(path),
    ):
        Path("/dev/full").write_text("x")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


@given(json_values)
def test_json_without_nan_comes_back_as_it_was(value: Any) -> None:
    assert json.loads(to_json(value)) == value


@given(st.lists(st.text().map(lambda text: to_json({"text": text}))))
def test_lines_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "metrics.jsonl"
    for line in lines:
        append_line(path, line)
        assert path.read_bytes().endswith(line.encode() + b"\n")  # at once, not at exit
    content = path.read_bytes().decode() if lines else ""
    assert content.split("\n")[:-1] == lines


def test_json_has_null_for_what_json_lacks(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    atomic_write_json(path, {"loss": math.nan, "losses": (1.0, math.inf), "accuracy": 0.5})
    strict = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert strict == {"loss": None, "losses": [1.0, None], "accuracy": 0.5}


def test_a_line_that_was_torn_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"ste')
    append_line(path, '{"step": 2}')
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_two_lines_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one line a call"):
        append_line(tmp_path / "metrics.jsonl", "a\nb")


def test_bytes_that_are_not_utf8_survive_json() -> None:
    path = os.fsdecode(b"caf\xe9/\xff")
    assert json.loads(to_json({"path": path}).encode()) == {"path": path}
