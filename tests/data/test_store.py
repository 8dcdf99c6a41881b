"""Stores: whole or absent, prepared once, in order, in bounded memory, by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image

from tenfold.data import prepare as prepare_module
from tenfold.data.cache import cache_folder
from tenfold.data.origins import Origin
from tenfold.data.sources.base import Picture, Source
from tenfold.data.store import Store, open_store
from tenfold.errors import OutputError, SourceError


class ListSource(Source):
    """Pictures from a list; counts how often it is read."""

    kind = "list"

    def __init__(
        self,
        pictures: Sequence[Picture],
        fingerprint: str = "f",
        class_names: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__("a list")
        self._pictures = pictures
        self._fingerprint = fingerprint
        self._class_names = class_names
        self.readings = 0

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self._class_names

    @property
    def expected_count(self) -> int | None:
        return len(self._pictures)

    def fingerprint(self) -> str:
        return self._fingerprint

    def pictures(self) -> Iterator[Picture]:
        self.readings += 1
        yield from self._pictures


def pixels(count: int, size: int = 8, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def as_pictures(images: NDArray[np.uint8], encoded: bool = True) -> list[Picture]:
    """Pictures of the classes dog, cat, bird in turn; every fifth is a test picture."""
    return [
        Picture(
            name=f"{position}.png",
            label=("dog", "cat", "bird")[position % 3],
            split="test" if position % 5 == 0 else None,
            content=png(image) if encoded else image,
        )
        for position, image in enumerate(images)
    ]


def damage(pictures: list[Picture], positions: Sequence[int]) -> None:
    for position in positions:
        sound = pictures[position]
        pictures[position] = Picture(sound.name, sound.label, sound.split, b"not a picture")


def decoders() -> list[psutil.Process]:
    """The workers of this process, which may have other children: a browser of another test."""
    children = psutil.Process().children()
    return [child for child in children if "tenfold.data.decode_worker" in child.cmdline()]


def open_small(source: Source, cache: Path, **options: object) -> Store:
    return open_store(source, size=8, cache=cache, **options)  # type: ignore[arg-type]


# --- Content -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "encoded", "workers"),
    [(7, True, 1), (40, False, 2), (700, True, 1), (1500, True, 2), (1500, False, 2)],
)
def test_a_store_holds_what_the_source_gave_in_order(
    count: int, encoded: bool, workers: int, tmp_path: Path
) -> None:
    images = pixels(count)
    store = open_small(ListSource(as_pictures(images, encoded)), tmp_path, workers=workers)
    np.testing.assert_array_equal(store.images, images)
    assert isinstance(store.images, np.memmap)
    assert not store.images.flags.writeable
    assert len(store) == count
    assert store.class_names == ("bird", "cat", "dog")
    assert store.labels.dtype == np.int32
    np.testing.assert_array_equal(store.labels, [(2, 1, 0)[i % 3] for i in range(count)])
    assert store.splits.dtype == np.int8
    np.testing.assert_array_equal(store.splits, [2 if i % 5 == 0 else -1 for i in range(count)])
    assert (store.size, store.fingerprint, store.skipped) == (8, "f", ())


def test_pictures_are_fitted_to_the_size(tmp_path: Path) -> None:
    pictures = as_pictures(pixels(6, size=16))
    store = open_store(ListSource(pictures), size=10, cache=tmp_path)
    assert store.images.shape == (6, 10, 10, 3)


def test_a_source_may_mix_files_and_pixels(tmp_path: Path) -> None:
    images = pixels(900)
    encoded, decoded = as_pictures(images), as_pictures(images, encoded=False)
    mixed = [(encoded if position < 600 else decoded)[position] for position in range(900)]
    np.testing.assert_array_equal(open_small(ListSource(mixed), tmp_path).images, images)


def test_the_source_s_own_class_order_is_kept(tmp_path: Path) -> None:
    names = ("dog", "fox", "bird", "cat")
    store = open_small(ListSource(as_pictures(pixels(6)), class_names=names), tmp_path)
    assert store.class_names == names
    np.testing.assert_array_equal(store.labels, [0, 3, 2, 0, 3, 2])


def test_a_class_that_the_source_does_not_declare_is_refused(tmp_path: Path) -> None:
    source = ListSource(as_pictures(pixels(6)), class_names=("dog", "cat"))
    with pytest.raises(SourceError, match="'bird' is not one of the classes"):
        open_small(source, tmp_path)


def test_progress_rises_to_the_number_of_pictures(tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    source = ListSource(as_pictures(pixels(1000)))
    open_small(source, tmp_path, progress=lambda done, total: calls.append((done, total)))
    done = [call[0] for call in calls]
    assert len(done) > 1
    assert done == sorted(done)
    assert calls[-1] == (1000, 1000)


# --- The cache -----------------------------------------------------------------------------------


def test_opening_again_does_not_read_the_pictures_again(tmp_path: Path) -> None:
    source = ListSource(as_pictures(pixels(9)))
    first = open_small(source, tmp_path)
    again = open_small(source, tmp_path)
    assert source.readings == 1
    assert again.path == first.path
    np.testing.assert_array_equal(again.images, first.images)


def test_another_fingerprint_size_or_rule_is_another_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = as_pictures(pixels(9))
    paths = {
        open_store(ListSource(pictures), size=8, cache=tmp_path).path,
        open_store(ListSource(pictures, fingerprint="g"), size=8, cache=tmp_path).path,
        open_store(ListSource(pictures), size=9, cache=tmp_path).path,
    }
    monkeypatch.setattr("tenfold.data.decode.RULE_VERSION", 999)
    paths.add(open_store(ListSource(pictures), size=8, cache=tmp_path).path)
    assert len(paths) == 4


def test_the_cache_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    assert cache_folder(tmp_path / "given") == tmp_path / "given"
    monkeypatch.delenv("TENFOLD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "xdg" / "tenfold"


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("images.raw", lambda content: content[:-1]),
        ("labels.npy", lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        ("splits.npy", lambda content: content[:20]),
        ("names.raw", lambda content: content[:-1]),
        ("origins.raw", lambda content: content[:-1]),
        ("store.json", lambda content: content[: len(content) // 2]),
        ("store.json", lambda _: b"{}"),
        ("store.json", lambda _: b"[]"),
    ],
)
def test_a_damaged_store_is_prepared_anew(file: str, change: object, tmp_path: Path) -> None:
    source = ListSource(as_pictures(pixels(9)))
    path = open_small(source, tmp_path).path / file
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    np.testing.assert_array_equal(open_small(source, tmp_path).images, pixels(9))
    assert source.readings == 2


def test_a_store_in_a_read_only_cache_can_be_opened(tmp_path: Path) -> None:
    source = ListSource(as_pictures(pixels(9)))
    stores = open_small(source, tmp_path).path.parent
    for lock in stores.glob("*.lock"):
        lock.unlink()
    stores.chmod(0o555)
    try:
        open_small(source, tmp_path)
        assert not list(stores.glob("*.lock"))
    finally:
        stores.chmod(0o755)


# --- Damaged pictures ----------------------------------------------------------------------------


@pytest.mark.parametrize("encoded_rest", [True, False])
@pytest.mark.parametrize("positions", [[0], [1499], [255, 256], [0, 1, 2, 700, 1498, 1499], [3, 5]])
def test_few_damaged_pictures_are_left_out_by_name(
    positions: list[int], encoded_rest: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "_COPY_BYTES", 100 * 8 * 8 * 3)  # several blocks
    images = pixels(1500)
    pictures = as_pictures(images, encoded_rest)
    damage(pictures, positions)
    store = open_small(ListSource(pictures), tmp_path)
    assert [name for name, _ in store.skipped] == [f"{position}.png" for position in positions]
    assert all("not a JPEG" in reason for _, reason in store.skipped)
    kept = np.setdiff1d(np.arange(1500), positions)
    np.testing.assert_array_equal(store.images, images[kept])
    np.testing.assert_array_equal(store.labels, np.array([2, 1, 0])[kept % 3])
    np.testing.assert_array_equal(store.splits == 2, kept % 5 == 0)
    assert open_small(ListSource(pictures), tmp_path).skipped == store.skipped


def test_one_in_a_hundred_may_be_damaged_and_no_more(tmp_path: Path) -> None:
    pictures = as_pictures(pixels(200))
    damage(pictures, [10, 20])
    assert len(open_small(ListSource(pictures), tmp_path)) == 198
    damage(pictures, [30])
    with pytest.raises(SourceError) as caught:
        open_small(ListSource(pictures, fingerprint="g"), tmp_path)
    message = str(caught.value)
    assert "3 of 200 pictures cannot be decoded" in message
    assert all(f"{position}.png" in message for position in (10, 20, 30))


def test_a_refusal_names_the_first_few_only(tmp_path: Path) -> None:
    pictures = as_pictures(pixels(1000))
    damage(pictures, range(600, 1000))
    with pytest.raises(SourceError, match=r"600\.png .*602\.png .*and 397 more") as caught:
        open_small(ListSource(pictures), tmp_path)
    assert "603.png" not in str(caught.value)


def test_a_source_that_is_refused_can_be_looked_at_without_decoding_it_again(
    tmp_path: Path,
) -> None:
    pictures = as_pictures(pixels(1000))
    damage(pictures, range(600, 1000))
    source = ListSource(pictures)
    with pytest.raises(SourceError, match="400 of 1000 pictures cannot be decoded"):
        open_small(source, tmp_path)
    store = open_small(source, tmp_path, most_skipped=1.0)
    assert (len(store), len(store.skipped), source.readings) == (600, 400, 1)
    with pytest.raises(SourceError, match="400 of 1000 pictures cannot be decoded"):
        open_small(source, tmp_path)


def test_a_source_of_damaged_pictures_only_is_refused_however_it_is_opened(tmp_path: Path) -> None:
    pictures = as_pictures(pixels(9))
    damage(pictures, range(9))
    with pytest.raises(SourceError, match="9 of 9 pictures cannot be decoded"):
        open_small(ListSource(pictures), tmp_path, most_skipped=1.0)
    assert [entry.suffix for entry in (tmp_path / "stores").iterdir()] == [".lock"]


def test_more_damaged_pictures_than_can_be_named_end_the_preparation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "MOST_SKIPPED", 300)
    pictures = as_pictures(pixels(3000))
    damage(pictures, range(1000))
    with pytest.raises(SourceError, match=r"of 512 pictures cannot be decoded|of 1000 pictures"):
        open_small(ListSource(pictures), tmp_path, most_skipped=1.0)


# --- What the pictures were ----------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("positions", [[], [0, 1, 256, 1199]])
def test_names_sizes_and_formats_stay_with_their_pictures(
    workers: int, positions: list[int], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    pictures, expected = [], []
    for position in range(1200):
        width, height = (int(side) for side in rng.integers(5, 20, 2))
        form = ("PNG", "JPEG", "BMP", "GIF", "WEBP")[position % 5]
        buffer = io.BytesIO()
        Image.new("RGB", (width, height), (position % 256, 0, 0)).save(buffer, form)
        name = f"ordner/größe {position}.{form}" + "x" * (position % 7)
        pictures.append(Picture(name, ("a", "b")[position % 2], None, buffer.getvalue()))
        expected.append(Origin(name, width, height, form))
    damage(pictures, positions)
    store = open_small(ListSource(pictures), tmp_path, workers=workers)
    kept = [origin for position, origin in enumerate(expected) if position not in positions]
    assert len(store.origins) == len(kept)
    assert [store.origins[position] for position in range(len(kept))] == kept
    with pytest.raises(IndexError):
        store.origins[len(kept)]
    with pytest.raises(IndexError):
        store.origins[-1]


def test_a_turned_picture_has_the_size_in_which_it_is_seen(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (12, 7), "red").save(buffer, "JPEG", exif=turned)
    pictures = as_pictures(pixels(9))
    pictures[4] = Picture("turned.jpg", "cat", None, buffer.getvalue())
    store = open_small(ListSource(pictures), tmp_path)
    assert store.origins[4] == Origin("turned.jpg", 7, 12, "JPEG")


def test_pixels_have_their_own_size_and_no_format(tmp_path: Path) -> None:
    pictures = as_pictures(pixels(9, size=12), encoded=False)
    assert open_small(ListSource(pictures), tmp_path).origins[8] == Origin(
        "8.png", 12, 12, "pixels"
    )


@pytest.mark.parametrize("encoded", [True, False])
def test_digests_are_equal_where_all_pixels_are(encoded: bool, tmp_path: Path) -> None:
    images = pixels(1500)
    images[700], images[1499] = images[3], images[3]
    images[1400] = images[3]
    images[1400, 7, 7, 2] ^= 1
    store = open_small(ListSource(as_pictures(images, encoded)), tmp_path)
    digests = [bytes(row) for row in store.origins.digests()]
    assert [at for at, digest in enumerate(digests) if digest == digests[3]] == [3, 700, 1499]
    assert digests[3] == hashlib.blake2b(images[3].tobytes(), digest_size=16).digest()


def test_a_class_of_damaged_pictures_only_is_no_class(tmp_path: Path) -> None:
    pictures = as_pictures(pixels(200))
    pictures[7] = Picture("7.png", "aardvark", None, b"")
    store = open_small(ListSource(pictures), tmp_path)
    assert store.class_names == ("bird", "cat", "dog")
    assert set(store.labels.tolist()) == {0, 1, 2}


def test_a_source_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="a list holds no pictures"):
        open_small(ListSource([]), tmp_path)


def test_a_source_of_one_class_is_refused(tmp_path: Path) -> None:
    pictures = [Picture(str(i), "cat", None, image) for i, image in enumerate(pixels(9))]
    with pytest.raises(SourceError, match="only one class, 'cat'"):
        open_small(ListSource(pictures, class_names=("cat", "dog")), tmp_path)


# --- Places that cannot be written ---------------------------------------------------------------


def test_a_file_in_place_of_the_cache_is_named(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.touch()
    for cache in (blocker, blocker / "below"):
        with pytest.raises(OutputError, match=r"file.*TENFOLD_CACHE"):
            open_small(ListSource(as_pictures(pixels(9))), cache)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match=r"permission denied.*TENFOLD_CACHE"):
        open_small(ListSource(as_pictures(pixels(9))), tmp_path)


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_a_full_disk_is_named_and_left_clean(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OutputError, match=r"disk is full.*TENFOLD_CACHE") as caught:
        open_small(ListSource(as_pictures(pixels(9))), tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert [entry.suffix for entry in (tmp_path / "stores").iterdir()] == [".lock"]


def test_a_disk_that_fills_under_a_worker_is_named(tmp_path: Path) -> None:
    script = PRELUDE + (
        "import resource\n"
        "from tenfold.errors import OutputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n"
        "    open_store(Repeated(1000), size=8, cache=Path(sys.argv[1]), workers=1)\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "TENFOLD_CACHE" in done.stdout
    assert done.stderr == ""


# --- Interruptions, and several processes --------------------------------------------------------

PRELUDE = """
import io, os, sys
from pathlib import Path
import numpy as np
from PIL import Image
from tenfold.data.sources.base import Picture, Source
from tenfold.data.store import open_store

buffer = io.BytesIO()
Image.new("RGB", (8, 8), "red").save(buffer, "JPEG")
CONTENT = buffer.getvalue()

def say(word):
    print(word, flush=True)

class Repeated(Source):
    kind = "repeated"
    def __init__(self, count, fingerprint="r", wait_at=None):
        super().__init__("the same picture")
        self.count, self.word, self.wait_at = count, fingerprint, wait_at
    def fingerprint(self):
        say("fingerprint")
        return self.word
    def pictures(self):
        say("reading")
        for position in range(self.count):
            if position == self.wait_at:
                say("waiting")
                sys.stdin.readline()
            yield Picture(str(position), ("cat", "dog")[position % 2], None, CONTENT)
"""

COUNT = 5000
WAITING = PRELUDE + (
    f"store = open_store(Repeated({COUNT}, wait_at={COUNT - 500}), size=8,\n"
    "                   cache=Path(sys.argv[1]), workers=2)\n"
    "say(len(store))\n"
)


def start(script: str, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(cache)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    pytest.fail(f"ended without '{word}': {process.communicate()[1]}")


def repeated() -> Source:
    """What `Repeated` yields, with its fingerprint."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "JPEG")
    content = buffer.getvalue()
    pictures = [
        Picture(str(position), ("cat", "dog")[position % 2], None, content)
        for position in range(COUNT)
    ]
    return ListSource(pictures, fingerprint="r")


def test_a_killed_preparation_leaves_nothing_that_is_taken_for_whole(tmp_path: Path) -> None:
    with start(WAITING, tmp_path) as process:
        wait_for(process, "waiting")
        workers = psutil.Process(process.pid).children()
        assert len(workers) == 2
        process.kill()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive, "workers outlive their parent"

    stores = tmp_path / "stores"
    assert sorted(entry.suffix for entry in stores.iterdir()) == [".lock", ".partial"]
    store = open_small(repeated(), tmp_path)
    assert len(store) == COUNT
    assert sorted(entry.suffix for entry in stores.iterdir()) == ["", ".lock"]


def test_an_interrupted_preparation_cleans_up(tmp_path: Path) -> None:
    with start(WAITING, tmp_path) as process:
        wait_for(process, "waiting")
        workers = psutil.Process(process.pid).children()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
        errors = process.communicate()[1]
    assert process.returncode != 0
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") == 1, "a worker complained too"
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
    assert [entry.suffix for entry in (tmp_path / "stores").iterdir()] == [".lock"]


def test_of_two_processes_one_prepares_and_both_end_well(tmp_path: Path) -> None:
    with start(WAITING, tmp_path) as first:
        wait_for(first, "waiting")
        with start(WAITING, tmp_path) as second:
            wait_for(second, "fingerprint")
            first_said, first_errors = first.communicate("go on\n")
            second_said, second_errors = second.communicate()
    assert (first_errors, second_errors) == ("", "")
    assert first_said.split() == ["fingerprint", str(COUNT)], "it is taken again at the end"
    assert second_said.split() == [str(COUNT)], "it read the source too"


def test_one_that_waits_takes_over_from_one_that_is_killed(tmp_path: Path) -> None:
    with start(WAITING, tmp_path) as first:
        wait_for(first, "waiting")
        with start(WAITING, tmp_path) as second:
            wait_for(second, "fingerprint")
            first.kill()
            said, errors = second.communicate("go on\n")
    assert errors == ""
    assert said.split() == ["reading", "waiting", "fingerprint", str(COUNT)]


def test_leftovers_of_other_stores_are_swept_unless_someone_works_on_them(tmp_path: Path) -> None:
    stores = tmp_path / "stores"
    for name in ("dead", "alive"):
        (stores / f"{name}.partial").mkdir(parents=True)
        (stores / f"{name}.partial" / "images.raw").write_bytes(b"half")
    with (stores / "alive.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        open_small(ListSource(as_pictures(pixels(9))), tmp_path)
    assert [entry.name for entry in stores.glob("*.partial")] == ["alive.partial"]


def test_a_worker_that_dies_is_reported_with_what_it_was_given(tmp_path: Path) -> None:
    class Deadly(ListSource):
        def pictures(self) -> Iterator[Picture]:
            for position, picture in enumerate(super().pictures()):
                if position == 1500:
                    for worker in decoders():
                        worker.kill()
                yield picture

    with pytest.raises(SourceError, match=r"decoding died \(exit status -9\).*\.png"):
        open_small(Deadly(as_pictures(pixels(4000))), tmp_path)
    assert [entry.suffix for entry in (tmp_path / "stores").iterdir()] == [".lock"]


def test_a_source_that_fails_midway_leaves_nothing(tmp_path: Path) -> None:
    class Broken(ListSource):
        def pictures(self) -> Iterator[Picture]:
            yield from super().pictures()
            raise SourceError("the archive is cut short")

    with pytest.raises(SourceError, match="cut short"):
        open_small(Broken(as_pictures(pixels(1000))), tmp_path)
    assert [entry.suffix for entry in (tmp_path / "stores").iterdir()] == [".lock"]
    assert not decoders()


# --- What is written -----------------------------------------------------------------------------


def test_every_file_is_synced_before_the_folder_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name.split(".")[-1])
        fsync(descriptor)

    def noted_rename(path: Path, target: Path) -> Path:
        events.append("rename")
        return rename(path, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("names of open files are read from /proc")
    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    open_small(ListSource(as_pictures(pixels(9))), tmp_path)
    files = [event for event in events if event != "partial"]
    assert files == ["raw", "raw", "raw", "npy", "npy", "json", "rename"]


def test_store_json_says_what_the_store_was_made_from(tmp_path: Path) -> None:
    store = open_small(ListSource(as_pictures(pixels(9))), tmp_path)
    facts = json.loads((store.path / "store.json").read_text())
    assert facts["source"] == "a list"
    assert facts["kind"] == "list"
    assert facts["fingerprint"] == "f"
    assert facts["class_names"] == ["bird", "cat", "dog"]
    assert facts["images_bytes"] == 9 * 8 * 8 * 3


def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path: Path) -> None:
    script = PRELUDE + (
        "import psutil, threading\n"
        "def peak(status):\n"
        "    return int(status.split('VmHWM:')[1].split()[0])\n"
        "peaks = []\n"
        "def look(done, total):\n"
        "    if done % 2560 == 0:\n"
        "        peaks[:] = [peak(Path(f'/proc/{process.pid}/status').read_text())\n"
        "                    for process in psutil.Process().children()]\n"
        "open_store(Repeated(int(sys.argv[2])), size=32, cache=Path(sys.argv[1]), workers=1,\n"
        "           progress=look)\n"
        "say(peak(Path('/proc/self/status').read_text()) + sum(peaks))\n"
    )
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc")
    kilobytes = [
        int(
            subprocess.run(
                [sys.executable, "-c", script, str(tmp_path / str(count)), str(count)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()[-1]
        )
        for count in (2_560, 25_600)
    ]
    # The pixels of the larger one are 79 MB; its labels, 0.1 MB, may be in memory.
    assert kilobytes[1] - kilobytes[0] < 8_000
