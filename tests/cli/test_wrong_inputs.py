"""Every wrong input gets one clear line that names the thing and the mend, and exit code 2."""

from __future__ import annotations

import errno
import io
import os
import pickle
import resource
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from .conftest import COMMAND, Invoke, arrays, encoded, pictures, write_files

Refused = Callable[..., str]


def tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:" + path.suffix[1:]) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def packed(path: Path, files: dict[str, bytes]) -> Path:
    return zipped(path, files) if path.suffix == ".zip" else tar(path, files)


def bomb() -> bytes:
    """A PNG whose header claims 100,000 x 100,000 pixels."""
    whole = encoded()
    header = b"IHDR" + struct.pack(">II", 100_000, 100_000) + whole[24:29]
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


# Sources


@pytest.mark.parametrize("command", [["train"], ["data", "info"], ["data", "prepare"]])
def test_a_missing_path(refused: Refused, command: list[str]) -> None:
    line = refused(*command, "gone.zip")
    assert "no source at gone.zip" in line
    assert "give a folder" in line


def test_a_misspelt_name(refused: Refused) -> None:
    assert "did you mean 'cifar10'" in refused("train", "cifar-10")


def test_a_misspelt_path(refused: Refused, here: Path) -> None:
    (here / "pictures.zip").touch()
    (here / "mine.toml").touch()
    assert "no source at picures.zip (did you mean 'pictures.zip'?)" in refused(
        "train", "picures.zip"
    )
    assert "no recipe file at mnie.toml (did you mean 'mine.toml'?)" in refused(
        "train", "-r", "mnie.toml"
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("lab2", "runs/lab-2"),
        ("lab-2", "runs/lab-2"),
        ("runs/lab2", "runs/lab-2"),
        ("lastest", "latest"),
        ("./old/frist", "old/first"),
    ],
)
def test_a_misspelt_run(refused: Refused, here: Path, given: str, meant: str) -> None:
    for run in ("runs/lab-2", "old/first"):
        write_files(here / run, {"recipe.toml": b""})
    line = refused("runs", "show", given)
    assert f"no run at {given} (did you mean '{meant}'?); 'tenfold runs'" in line


def test_a_misspelt_value_of_a_few(refused: Refused) -> None:
    line = refused("train", "--set", "optimizer.name=admw")
    assert "Received: 'admw' (did you mean 'adamw'?)" in line
    line = refused("train", "--set", "augmentation.flip=xyz")
    assert line.endswith("must be 'none', 'random' or 'alternate'. Received: 'xyz'")


def test_an_empty_folder(refused: Refused, here: Path) -> None:
    (here / "empty").mkdir()
    assert "empty holds no pictures; expected JPEG, PNG" in refused("data", "info", "empty")


def test_one_class_only(refused: Refused, here: Path) -> None:
    write_files(here / "one", pictures(classes=1))
    line = refused("data", "info", "one")
    assert "one has only one class, 'class-0'" in line
    assert "at least two" in line


@pytest.mark.parametrize("name", ["all.zip", "all.tar.gz", "all.tar.xz", "all.tar.bz2"])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_truncated_archive(refused: Refused, here: Path, name: str, share: float) -> None:
    path = packed(here / name, {k: os.urandom(500) + v for k, v in pictures().items()})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    line = refused("data", "info", name)
    assert name in line
    assert "copy or download it again" in line


def test_a_wrong_checksum(refused: Refused, here: Path) -> None:
    tar(write_files(here / "mirror", {}) / "cifar-10-python.tar.gz", {"x": b"y"})
    line = refused("data", "info", "cifar10", "--mirror", "mirror")
    assert "mirror/cifar-10-python.tar.gz does not have the official checksum" in line
    assert "get it again" in line


def test_a_mirror_without_the_archive(refused: Refused, here: Path) -> None:
    line = refused("train", "cifar100", "--mirror", "nowhere")
    assert "No such file or directory; name a folder that has this file" in line
    assert "is not an address" in refused("train", "cifar10", "--mirror", "http://[::1")
    assert "neither an http(s) address nor a folder" in refused(
        "train", "cifar100", "--mirror", "ftp://example.org"
    )


def test_a_few_corrupt_pictures_are_named_counted_and_skipped(tenfold: Invoke, here: Path) -> None:
    files = pictures(each=100)
    write_files(here / "tree", files | {"class-0/007.png": files["class-0/007.png"][:50]})
    outcome = tenfold("data", "prepare", "tree")
    assert outcome.code == 0
    assert "skipped 1 damaged picture: class-0/007.png (" in outcome.err
    assert "199 pictures are ready" in outcome.out
    report = tenfold("data", "info", "tree")
    assert report.out.startswith("tree: folder")
    assert "broken files: 1 (0.5%)\n  class-0/007.png: " in report.out
    assert tenfold("data", "info", "tree", "--json").json()["skipped"][0][0] == "class-0/007.png"


def test_more_corrupt_pictures_are_refused(refused: Refused, here: Path) -> None:
    files = pictures(each=100)
    damaged = {f"class-1/{number:03}.png": b"\x89PNG nothing" for number in range(3)}
    write_files(here / "tree", files | damaged)
    line = refused("data", "prepare", "tree")
    assert "tree: 3 of 200 pictures cannot be decoded, more than 1%: class-1/000.png (" in line
    assert "repair or remove them" in line


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch owned",)


def test_a_hostile_pickle_is_not_run(refused: Refused, here: Path) -> None:
    batch = pickle.dumps({"data": Hostile(), "labels": [0]}, 2)
    meta = pickle.dumps({"label_names": ["cat", "dog"]}, 2)
    batches = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    files = {f"cifar-10-batches-py/{name}": batch for name in batches}
    tar(here / "cifar.tar.gz", files | {"cifar-10-batches-py/batches.meta": meta})
    line = refused("data", "info", "cifar.tar.gz")
    assert "a pickle that asks for posix.system" in line
    assert not (here / "owned").exists()


def test_a_hostile_array_is_not_run(refused: Refused, here: Path) -> None:
    objects = np.array([Hostile()] * 20, dtype=object)
    np.savez(here / "arrays.npz", **(arrays() | {"labels": objects}))
    assert "arrays.npz" in refused("data", "info", "arrays.npz")
    assert not (here / "owned").exists()


def test_a_decompression_bomb(refused: Refused, here: Path) -> None:
    write_files(here / "tree", pictures() | {"class-0/bomb.png": bomb()})
    assert "class-0/bomb.png (too large: " in refused("data", "prepare", "tree")


@pytest.mark.parametrize("name", ["all.zip", "all.tar", "all.tar.gz"])
@pytest.mark.parametrize("member", ["../class-0/out.png", "/class-0/out.png"])
def test_a_member_that_escapes(refused: Refused, here: Path, name: str, member: str) -> None:
    suffix = {"all.tar": lambda p: p}.get(name)
    path = here / name
    if suffix:
        with tarfile.open(path, "w") as archive:
            info = tarfile.TarInfo(member)
            info.size = len(encoded())
            archive.addfile(info, io.BytesIO(encoded()))
    else:
        packed(path, pictures() | {member: encoded()})
    line = refused("data", "info", name)
    assert name in line
    assert member in line
    assert not (here.parent / "class-0").exists()


def test_a_table_with_paths_that_do_not_exist(refused: Refused, here: Path) -> None:
    (here / "table.csv").write_text("path,label\nno/such.png,cat\nnor/this.png,dog\n")
    assert "no/such.png" in refused("data", "info", "table.csv")


@pytest.mark.parametrize("name", ["all.zip", "a.tar.xz", "a.csv", "a.parquet", "a.npz", "a.png"])
def test_a_file_that_is_not_what_its_name_says(refused: Refused, here: Path, name: str) -> None:
    (here / name).write_bytes(bytes(range(256)) * 8)
    assert name in refused("data", "info", name)


def test_fewer_rows_than_classes(refused: Refused, here: Path) -> None:
    line = refused("train", "digits", "--rows", "9")
    assert "data.rows = 9 is less than the 10 classes of digits" in line
    assert not (here / "runs").exists()


def test_a_name_that_is_too_long(refused: Refused) -> None:
    for command in (["data", "info"], ["recipes", "show"], ["runs", "show"]):
        assert "File name too long; choose a shorter name" in refused(*command, "x" * 5000)


def test_a_path_that_is_not_utf8(refused: Refused, here: Path) -> None:
    folder = write_files(here / os.fsdecode(b"\xff"), pictures())
    assert "\\udcff is not UTF-8; give it another name" in refused("data", "info", folder)


# Recipes and settings


def test_an_unknown_recipe(refused: Refused) -> None:
    line = refused("train", "--recipe", "lab-3")
    assert "no recipe called 'lab-3' (did you mean 'lab-" in line
    assert "or give the path of a .toml file" in line


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("nonsense", "write it like --set optimizer.learning_rate=0.01"),
        ("optimizer.lr=1", "did you mean 'optimizer.learning_rate'"),
        ("training.epochs=many", "training.epochs must be a whole number. Received: 'many'"),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate must be above 0. Received: -1"),
        ("model.name=lab-9", "model.name: there is no network called 'lab-9' (did you mean 'lab-"),
        ("data.test=0", "digits leaves no pictures for the test; add some, or set data.test"),
        ("data.size=100000", "data.size must be at most 1024. Received: 100000"),
        ("training.early_stopping=1", None),
    ],
)
def test_a_bad_override(refused: Refused, here: Path, override: str, message: str | None) -> None:
    extra = []
    if message is None:
        message, extra = "set data.validation above 0", ["--set", "data.validation=0"]
    assert message in refused("train", "--set", override, *extra)
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--epochs", "0", "training.epochs must be at least 1. Received: 0"),
        ("--rows", "-5", "data.rows must be at least 1. Received: -5"),
        ("--test-rows", "0", "data.test_rows must be at least 1. Received: 0"),
        ("--seed", "4294967296", "seed must be at most 2147483647. Received: 4294967296"),
    ],
)
def test_a_value_out_of_range(refused: Refused, option: str, value: str, message: str) -> None:
    assert message in refused("train", option, value)


def test_a_network_that_does_not_fit_the_pictures(refused: Refused, here: Path) -> None:
    assert "data.size" in refused("train", "--set", "data.size=3")


# Places to write to


def test_an_out_that_holds_something(refused: Refused, here: Path) -> None:
    write_files(here / "full", {"notes.txt": b"mine"})
    assert "full is not empty; choose another --out" in refused("train", "--out", "full")
    (here / "full" / "notes.txt").rename(here / "full" / "recipe.toml")
    assert "full already holds a run; choose another --out" in refused("train", "--out", "full")


def test_a_file_in_the_way_of_the_run(refused: Refused, here: Path) -> None:
    (here / "taken").write_text("mine")
    assert "cannot write taken: a file of that name" in refused("train", "--out", "taken")
    assert "cannot write taken/run: a file lies" in refused("train", "--out", "taken/run")
    (here / "runs").write_text("mine")
    assert "a file lies where a folder is needed" in refused("train")


def test_a_picture_that_cannot_be_saved(refused: Refused, here: Path) -> None:
    (here / "taken").write_text("mine")
    line = refused("data", "show", "--out", "taken/picture.png")
    assert "cannot write taken/picture.png: a file lies where a folder is needed" in line


def test_a_picture_in_the_place_of_a_folder(refused: Refused, here: Path) -> None:
    assert "cannot write .: a folder lies where a file is needed" in refused(
        "data", "show", "--out", "."
    )


def test_a_cache_that_cannot_be_written(
    refused: Refused, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "taken").write_text("mine")
    monkeypatch.setenv("TENFOLD_CACHE", "taken")
    line = refused("data", "info")
    assert "cannot write taken/" in line
    assert "TENFOLD_CACHE names it" in line


@pytest.mark.parametrize(
    ("code", "message"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "the disk is read-only")],
)
def test_a_full_or_read_only_disk(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    def mkdir(path: Path, *_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert message in refused("data", "info")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Limits how large a file may grow: the nearest thing to a full disk that needs no mount.

    It must be lifted before the test ends, because pytest's own output may go to a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


SHORT = ["--recipe", "lab-1", "--rows", "60", "--epochs", "1", "--out", "run"]


@pytest.mark.parametrize(
    ("size", "name"),
    [(300, "run/recipe.toml"), (5_000, "run/tensorboard"), (60_000, "run/model.keras")],
)
def test_a_disk_that_fills_up_while_training(
    tenfold: Invoke, here: Path, size: int, name: str
) -> None:
    assert tenfold("data", "prepare").code == 0
    with largest_file(size):
        outcome = tenfold("train", *SHORT)
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith(f"tenfold: cannot write {name}: ")
    assert "Traceback" not in outcome.err
    assert not list((here / "run").glob(".model*"))


def test_a_disk_that_fills_up_while_decoding(refused: Refused, here: Path) -> None:
    with largest_file(10_000):
        line = refused("data", "prepare")
    assert "cannot write" in line
    assert not list((here / ".cache" / "stores").glob("*.partial"))


def test_a_stdout_that_takes_no_more() -> None:
    for command in (["recipes"], ["recipes", "--help"], ["recipes", "list", "--json"]):
        with Path("/dev/full").open("wb") as full:
            process = subprocess.run(
                [*COMMAND, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert process.returncode == 2
        assert process.stderr.startswith("tenfold: ")
        assert "free some space" in process.stderr
        assert process.stderr.count("\n") == 1


def test_a_stdout_that_is_closed_early_is_no_error() -> None:
    process = subprocess.Popen(
        [*COMMAND, "recipes", "show", "lab-2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate()
    assert err == b""
