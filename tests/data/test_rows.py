"""Gathering rows: what indexing gives, without the pages that indexing leaves resident."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tenfold.data.rows import RowReader
from tenfold.errors import SourceError


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap:
    """100 random pictures in a file, after a header of 10 bytes."""
    pixels = np.random.default_rng(0).integers(0, 256, (100, 5, 4, 3), dtype=np.uint8)
    path = tmp_path / "images.raw"
    path.write_bytes(b"ten bytes." + pixels.tobytes())
    return np.memmap(path, np.uint8, mode="r", offset=10, shape=pixels.shape)


@pytest.mark.parametrize("rows", [[], [3], [99, 0, 50, 0], list(range(100))])
def test_rows_are_those_of_indexing(rows: list[int], mapped: np.memmap) -> None:
    wanted = np.array(rows, np.int64)
    for images in (mapped, np.array(mapped), mapped[:]):
        gathered = RowReader(images).read(wanted)
        assert gathered.dtype == np.uint8
        assert type(gathered) is np.ndarray
        np.testing.assert_array_equal(gathered, np.array(mapped)[wanted])


def test_a_part_of_a_mapping_is_read_from_its_own_start(mapped: np.memmap) -> None:
    part = mapped[40:]
    np.testing.assert_array_equal(RowReader(part).read(np.array([0, 5])), mapped[[40, 45]])


@pytest.mark.parametrize("rows", [[100], [-1], [0, 1000]])
def test_rows_out_of_range_are_refused(rows: list[int], mapped: np.memmap) -> None:
    for images in (mapped, np.array(mapped)):
        with pytest.raises(IndexError):
            RowReader(images).read(np.array(rows))


def test_a_file_cut_short_is_noticed(mapped: np.memmap) -> None:
    reader = RowReader(mapped)
    os.truncate(str(mapped.filename), 50 * 60)
    with pytest.raises(SourceError, match="fewer than when they were opened"):
        reader.read(np.array([99]))


def test_the_file_is_closed_with_the_reader(mapped: np.memmap) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("open files are listed in /proc")

    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    reader = RowReader(mapped)
    assert count() == before + 1
    del reader
    assert count() == before


def test_threads_read_at_the_same_time(mapped: np.memmap) -> None:
    reader, expected, wrong = RowReader(mapped), np.array(mapped), []

    def read(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(200):
            rows = rng.integers(0, 100, 16)
            if not np.array_equal(reader.read(rows), expected[rows]):
                wrong.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_reading_a_large_file_at_random_does_not_make_it_resident(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc")
    script = """
import sys
from pathlib import Path
import numpy as np
from tenfold.data.rows import RowReader
from tenfold.errors import SourceError

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

count = 65_536
path = Path(sys.argv[1])
with path.open("wb") as file:
    for start in range(0, count, 4096):
        file.write(np.full((4096, 3072), start // 4096, np.uint8))
reader = RowReader(np.memmap(path, np.uint8, mode="r", shape=(count, 32, 32, 3)))
order = np.random.default_rng(0).permutation(count)
before = peak()
for start in range(0, count, 128):
    rows = order[start : start + 128]
    assert (reader.read(rows)[:, 0, 0, 0] == rows // 4096).all()
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "images.raw")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 8_000  # kilobytes; the file has 201,000
