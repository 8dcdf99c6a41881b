"""What happens to a preparation when the world around it does not hold still."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from tenfold.data.dataset import open_dataset
from tenfold.data.rows import RowReader
from tenfold.data.sources import open_source
from tenfold.data.sources.base import Picture
from tenfold.data.store import open_store
from tenfold.errors import OutputError, SourceError

from .test_store import (
    COUNT,
    WAITING,
    ListSource,
    as_pictures,
    decoders,
    open_small,
    pixels,
    png,
    repeated,
    start,
    wait_for,
)


def tree(folder: Path, count: int = 30) -> Path:
    for position, image in enumerate(pixels(count)):
        path = folder / ("cat", "dog")[position % 2] / f"{position:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(image))
    return folder


def leftovers(cache: Path) -> list[str]:
    return sorted(path.suffix for path in (cache / "stores").iterdir())


# --- The disk ------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte, where this system lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only the superuser may mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_is_named_and_left_as_it_was(
    small_disk: Path, tmp_path: Path
) -> None:
    source = open_source(tree(tmp_path / "tree"))
    with pytest.raises(OutputError, match=r"disk is full.*TENFOLD_CACHE"):
        open_store(source, size=256, cache=small_disk)  # 30 pictures of 196,608 bytes
    assert leftovers(small_disk) == [".lock"]
    assert len(open_store(source, size=8, cache=small_disk)) == 30


def test_a_cache_that_is_removed_midway_is_one_line_and_the_next_run_is_whole(
    tmp_path: Path,
) -> None:
    class Removing(ListSource):
        def pictures(self) -> Iterator[Picture]:
            yield from super().pictures()
            for path in (tmp_path / "stores").glob("*.partial"):
                for file in path.iterdir():
                    file.unlink()
                path.rmdir()

    with pytest.raises(OutputError, match="run the command again"):
        open_small(Removing(as_pictures(pixels(9))), tmp_path)
    np.testing.assert_array_equal(
        open_small(ListSource(as_pictures(pixels(9))), tmp_path).images, pixels(9)
    )


def test_a_store_that_is_cut_short_under_a_training_is_one_line(tmp_path: Path) -> None:
    store = open_small(ListSource(as_pictures(pixels(9))), tmp_path)
    reader = RowReader(store.images)
    os.truncate(store.path / "images.raw", 100)
    with pytest.raises(SourceError, match=r"fewer than when they were opened; run the command"):
        reader.read(np.arange(9))
    assert len(open_small(ListSource(as_pictures(pixels(9))), tmp_path)) == 9


def test_a_store_that_is_removed_under_a_training_is_read_on(tmp_path: Path) -> None:
    store = open_small(ListSource(as_pictures(pixels(9))), tmp_path)
    reader = RowReader(store.images)
    for file in store.path.iterdir():
        file.unlink()
    np.testing.assert_array_equal(reader.read(np.arange(9)), pixels(9))


# --- The source ----------------------------------------------------------------------------------


def test_a_source_that_changes_between_runs_is_prepared_anew(tmp_path: Path) -> None:
    folder = tree(tmp_path / "tree")
    first = open_dataset(folder, cache=tmp_path / "cache")
    (folder / "cat" / "000.png").write_bytes(png(255 - pixels(1)[0]))
    (folder / "dog" / "001.png").unlink()
    second = open_dataset(folder, cache=tmp_path / "cache")
    assert second.fingerprint != first.fingerprint
    assert len(second.train.images) == len(first.train.images) - 1


@pytest.mark.parametrize("change", ["added", "rewritten", "removed"])
def test_a_source_that_changes_while_it_is_read_is_refused(tmp_path: Path, change: str) -> None:
    """Else its pictures would be kept under a fingerprint that is not theirs."""
    folder = tree(tmp_path / "tree")
    source = open_source(folder)
    original = source.pictures

    def pictures() -> Iterator[Picture]:
        for number, picture in enumerate(original()):
            if number == 5:
                match change:
                    case "added":
                        (folder / "cat" / "zzz.png").write_bytes(png(pixels(1)[0]))
                    case "rewritten":
                        (folder / "cat" / "000.png").write_bytes(png(pixels(2)[1]))
                    case "removed":
                        (folder / "dog" / "029.png").unlink()
            yield picture

    source.pictures = pictures  # type: ignore[method-assign]
    with pytest.raises(SourceError, match=r"changed while it was read|029.png"):
        open_store(source, size=8, cache=tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == [".lock"]
    assert len(open_store(open_source(folder), size=8, cache=tmp_path / "cache")) in (29, 30, 31)


def test_an_archive_that_is_cut_short_while_it_is_read_is_refused(tmp_path: Path) -> None:
    folder = tree(tmp_path / "tree", 600)
    archive = tmp_path / "all.tar"
    subprocess.run(["tar", "-cf", archive, "-C", folder, "cat", "dog"], check=True)
    source = open_source(archive)
    original = source.pictures

    def pictures() -> Iterator[Picture]:
        for number, picture in enumerate(original()):
            if number == 5:
                os.truncate(archive, archive.stat().st_size - 2000)
            yield picture

    source.pictures = pictures  # type: ignore[method-assign]
    with pytest.raises(SourceError, match=r"truncated|changed while it was read"):
        open_store(source, size=8, cache=tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == [".lock"]


# --- The processes -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_preparation_that_is_ended_leaves_no_worker_and_no_store(
    tmp_path: Path, number: signal.Signals
) -> None:
    with start(WAITING, tmp_path) as process:
        wait_for(process, "waiting")
        workers = psutil.Process(process.pid).children()
        process.send_signal(number)
        process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
    assert "" not in leftovers(tmp_path)
    assert len(open_small(repeated(), tmp_path)) == COUNT
    assert leftovers(tmp_path) == ["", ".lock"]


def test_a_worker_without_memory_is_one_line_and_the_next_run_is_whole(tmp_path: Path) -> None:
    """As the kernel ends the process that takes the last of the memory: by SIGKILL."""

    class Deadly(ListSource):
        def pictures(self) -> Iterator[Picture]:
            for position, picture in enumerate(super().pictures()):
                if position == 1200 and self.readings == 1:
                    decoders()[0].kill()
                yield picture

    source = Deadly(as_pictures(pixels(3000)))
    with pytest.raises(SourceError, match=r"decoding died \(exit status -9\).*free memory"):
        open_small(source, tmp_path)
    assert not decoders()
    assert len(open_small(source, tmp_path)) == 3000


def test_two_preparations_at_once_leave_one_store(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tenfold.data.dataset import open_dataset\n"
        "dataset = open_dataset(sys.argv[1], cache=Path(sys.argv[2]))\n"
        "print(dataset.fingerprint, len(dataset.train))\n"
    )
    folder = tree(tmp_path / "tree")
    command = [sys.executable, "-c", script, str(folder), str(tmp_path / "cache")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate()[0] for process in both)
    assert first == second != ""
    assert leftovers(tmp_path / "cache") == ["", ".lock"]
