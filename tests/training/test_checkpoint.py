"""The file of a checkpoint: what it gives back, and that no damage goes unnoticed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tenfold.errors import OutputError
from tenfold.training import checkpoint as module
from tenfold.training.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    Progress,
    read_checkpoint,
    write_checkpoint,
)

RANDOM = np.random.default_rng(0)
SHARED: dict[str, Any] = {"suppress_health_check": [HealthCheck.function_scoped_fixture]}
EXAMPLE = Checkpoint(
    Progress(
        step=7,
        epoch=2,
        validated=3,
        seconds=0.1 + 0.2,
        peak_memory=2**40,
        files={"metrics.jsonl": 12},
        callbacks={"Recorder": {"steps": 7, "best": None, "seconds": 1e-300}},
    ),
    {
        "weights": RANDOM.normal(size=(3, 2)).astype(np.float32),
        "step": np.array(2**40, np.int64),
        "none": np.empty((0, 4), np.float32),
        "seed": np.array([1, 2**32 - 1], np.uint32),
    },
)

arrays = st.sampled_from(["float32", "float64", "int32", "int64", "uint32", "bool"]).flatmap(
    lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, min_side=0, max_side=5))
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / "whole"
    write_checkpoint(path, EXAMPLE)
    return path.read_bytes()


def same(ours: NDArray[Any], theirs: NDArray[Any]) -> bool:
    return (ours.dtype, ours.shape, ours.tobytes()) == (
        theirs.dtype,
        theirs.shape,
        theirs.tobytes(),
    )


@settings(max_examples=50, deadline=None, **SHARED)
@given(values=st.dictionaries(st.text(max_size=9), arrays, max_size=4))
def test_what_is_written_is_read_to_the_bit(
    values: dict[str, NDArray[Any]], tmp_path: Path
) -> None:
    write_checkpoint(tmp_path / "file", Checkpoint(EXAMPLE.progress, values))
    back = read_checkpoint(tmp_path / "file")
    assert back.progress == EXAMPLE.progress
    assert list(back.arrays) == list(values)
    assert all(same(back.arrays[name], values[name]) for name in values)


@settings(max_examples=200, deadline=None, **SHARED)
@given(data=st.data())
def test_no_changed_bit_goes_unnoticed(data: st.DataObject, written: bytes, tmp_path: Path) -> None:
    place = data.draw(st.integers(0, 8 * len(written) - 1))
    damaged = bytearray(written)
    damaged[place // 8] ^= 1 << place % 8
    (tmp_path / "file").write_bytes(damaged)
    with pytest.raises(DamagedCheckpointError):
        read_checkpoint(tmp_path / "file")


@settings(max_examples=100, deadline=None, **SHARED)
@given(data=st.data())
def test_a_file_that_is_cut_off_or_has_more_is_damaged(
    data: st.DataObject, written: bytes, tmp_path: Path
) -> None:
    length = data.draw(st.integers(0, len(written) - 1))
    for content in (written[:length], written + written[:length] + b"x"):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(DamagedCheckpointError):
            read_checkpoint(tmp_path / "file")


def forged(header: Any, rest: bytes = b"") -> bytes:
    """A file whose checksum is right, whatever it says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    content = b"tenfold checkpoint 1\n" + len(text).to_bytes(8, "little") + text + rest
    return content + hashlib.sha256(content).digest()


GOOD = {"progress": {"step": 1}, "arrays": [{"name": "a", "dtype": "float32", "shape": [2]}]}


def with_array(**changes: Any) -> dict[str, Any]:
    return GOOD | {"arrays": [GOOD["arrays"][0] | changes]}  # type: ignore[index,operator]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"not json",
        b"[" * 100_000,
        {},
        GOOD | {"more": 1},
        GOOD | {"progress": {"step": -1}},
        GOOD | {"progress": {"step": "1"}},
        GOOD | {"progress": {"files": {"../x": -5}}},
        with_array(dtype="object"),
        with_array(dtype="O"),
        with_array(shape=[2**62, 2**62]),
        with_array(shape=[-2]),
        with_array(shape=[10**30]),
        with_array(shape=[1] * 40),
        with_array(shape=[3]),
    ],
)
def test_a_forged_header_is_refused_and_nothing_is_allocated_for_it(
    header: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(forged(header, bytes(8)))
    with pytest.raises(DamagedCheckpointError):
        read_checkpoint(tmp_path / "file")
    (tmp_path / "file").write_bytes(forged(GOOD, bytes(8)))
    assert read_checkpoint(tmp_path / "file").progress.step == 1  # the forger's tools are good


def test_a_header_longer_than_the_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"tenfold checkpoint 1\n" + b"\xff" * 8 + b"{}")
    with pytest.raises(DamagedCheckpointError, match="too short"):
        read_checkpoint(tmp_path / "file")


@pytest.mark.parametrize("failing", range(7))
def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    path = tmp_path / "file"
    write_checkpoint(path, EXAMPLE)
    put, calls = module._put, iter(range(100))

    def full(file: Any, piece: Any) -> None:
        if next(calls) == failing:
            raise OSError(28, "No space left on device")
        put(file, piece)

    monkeypatch.setattr(module, "_put", full)
    with pytest.raises(OutputError, match="the disk is full"):
        write_checkpoint(path, Checkpoint(Progress(step=8), EXAMPLE.arrays))
    assert read_checkpoint(path).progress == EXAMPLE.progress
    assert list(tmp_path.iterdir()) == [path]


def made_up(path: Path, arrays: list[dict[str, Any]]) -> Path:
    """A file with a right checksum that nobody wrote."""
    header = json.dumps({"progress": {}, "arrays": arrays}).encode()
    content = module._MAGIC + len(header).to_bytes(8, "little") + header
    path.write_bytes(content + hashlib.sha256(content).digest())
    return path


@pytest.mark.parametrize("shape", [[0, 2**63], [0, 2**64], [0, 2**62, 2**62], [2**31, 0, 2**40]])
def test_an_array_of_no_numbers_along_axes_beyond_all_bounds_is_refused(
    tmp_path: Path, shape: list[int]
) -> None:
    path = made_up(tmp_path / "c", [{"name": "a", "dtype": "float64", "shape": shape}])
    with pytest.raises(DamagedCheckpointError, match="an array of no possible size"):
        read_checkpoint(path)


def test_more_arrays_than_any_training_has_are_refused_before_they_are_read(tmp_path: Path) -> None:
    arrays = [{"name": "", "dtype": "bool", "shape": [0]}] * 120_000
    with pytest.raises(DamagedCheckpointError, match="it is too short"):
        read_checkpoint(made_up(tmp_path / "c", arrays))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c")
    with pytest.raises(OSError, match="it is no regular file"):
        read_checkpoint(tmp_path / "c")
