"""What a list of paths stands for: every picture once, in order, and a reason for all else."""

from __future__ import annotations

import inspect
import io
import os
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tenfold.serving import inputs
from tenfold.serving.inputs import Found, ReadError, Skipped, find, read_file, without_duplicates

Files = dict[str, bytes]


def write(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def names(*paths: str | Path) -> list[str]:
    """The names of what is found, all of which must be pictures."""
    found = list(find(map(str, paths)))
    assert all(isinstance(one, Found) for one in found), found
    return [one.name for one in found]


def reason(*paths: str | Path) -> str:
    """Why the one thing that is found is no picture."""
    (one,) = find(map(str, paths))
    assert isinstance(one, Skipped), one
    return one.reason


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- Files and folders ---------------------------------------------------------------------------


def test_a_file_is_left_for_the_decoder_whatever_its_name(here: Path) -> None:
    write(here, {"cat.jpg": b"1", "upload": b"2", ".hidden.png": b"3"})
    assert list(find(["cat.jpg", "upload", ".hidden.png"])) == [
        Found("cat.jpg", None),
        Found("upload", None),
        Found(".hidden.png", None),
    ]


def test_a_folder_stands_for_the_pictures_in_it_and_below(here: Path) -> None:
    pictures = ["b.JPG", "a/2.png", "a/deep/er/1.webp", "c.gif", "c d\n\t.bmp", "é.jpeg"]
    others = [
        "notes.txt",
        "Thumbs.db",
        ".hidden.png",
        ".git/x.png",
        "__MACOSX/a/._2.png",
        "all.zip",
    ]
    write(here / "photos", dict.fromkeys([*pictures, *others], b""))
    expected = ["a/2.png", "a/deep/er/1.webp", "b.JPG", "c d\n\t.bmp", "c.gif", "é.jpeg"]
    assert names("photos") == [f"photos/{name}" for name in expected]
    assert names("photos/") == names("photos")
    assert names(".")[0] == "./photos/a/2.png"


def test_a_hidden_folder_that_is_named_is_meant(here: Path) -> None:
    write(here, {".photos/1.png": b""})
    assert names(".photos") == [".photos/1.png"]


def test_names_that_are_not_utf8_are_found(here: Path) -> None:
    write(here / "photos", {os.fsdecode(b"\xff.png"): b"x"})
    (name,) = names("photos")
    assert os.fsencode(name) == b"photos/\xff.png"
    assert read_file(name) == b"x"


def test_a_tree_may_be_deeper_than_calls(here: Path) -> None:
    depth = 200
    write(here, {"d/" * depth + "1.png": b""})
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + depth // 2)
    try:
        found = names("d")
    finally:
        sys.setrecursionlimit(before)
    assert found == ["d/" * depth + "1.png"]


def test_links_to_files_are_read_and_links_to_folders_are_named(here: Path) -> None:
    write(here, {"elsewhere/1.png": b"x", "photos/2.png": b"y"})
    for link, target in {
        "out.png": "../elsewhere/1.png",
        "loop": ".",
        "folder.png": "../elsewhere",
        "gone.png": "nowhere",
        "gone.txt": "nowhere",
    }.items():
        (here / "photos" / link).symlink_to(target)
    found = list(find(["photos"]))
    assert [one.name for one in found if isinstance(one, Found)] == [
        "photos/2.png",
        "photos/out.png",
    ]
    reasons = {one.name: one.reason for one in found if isinstance(one, Skipped)}
    assert reasons.keys() == {"photos/loop", "photos/folder.png", "photos/gone.png"}
    assert "link to a folder" in reasons["photos/loop"]
    assert reasons["photos/gone.png"] == "is a link to nothing"


def test_a_link_that_is_named_is_followed(here: Path) -> None:
    write(here, {"photos/2.png": b"y"})
    (here / "link").symlink_to("photos")
    assert names("link") == ["link/2.png"]
    (here / "broken.png").symlink_to("nowhere")
    assert reason("broken.png") == "is a link to nothing"


def test_a_pipe_in_a_folder_is_not_waited_for(here: Path) -> None:
    write(here, {"photos/2.png": b"y"})
    os.mkfifo(here / "photos" / "1.png")
    assert list(find(["photos"])) == [
        Skipped("photos/1.png", "is not a file"),
        Found("photos/2.png", None),
    ]


def test_what_leads_to_no_picture_has_a_reason(here: Path) -> None:
    write(here, {"empty/notes.txt": b"", "file": b""})
    assert (
        reason("empty")
        == "holds no pictures: no file that is JPEG, PNG, WebP, BMP or GIF by its name"
    )
    assert reason("gone.png") == "there is no such file or folder; check the path"
    assert reason("file/1.png") == "not a directory"
    assert reason("x" * 300) == "file name too long"
    assert reason("*.jpg") == "matches no file; check the pattern"
    assert "download it first" in reason("https://example.org/cat.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_folder_that_may_not_be_read_keeps_nothing_else_from_it(here: Path) -> None:
    write(here, {"photos/a/1.png": b"", "photos/b/2.png": b""})
    (here / "photos/a").chmod(0)
    found = list(find(["photos"]))
    (here / "photos/a").chmod(stat.S_IRWXU)
    assert found == [Skipped("photos/a/", "permission denied"), Found("photos/b/2.png", None)]


def test_a_folder_that_cannot_be_listed_keeps_nothing_else_from_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here, {"photos/a/1.png": b"", "photos/b/2.png": b""})
    scandir = os.scandir

    def denied(path: str) -> object:
        if path == "photos/a/":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert list(find(["photos"])) == [
        Skipped("photos/a/", "permission denied"),
        Found("photos/b/2.png", None),
    ]


def test_only_one_folder_is_listed_ahead(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(here, {f"photos/{folder}/{n}.png": b"" for folder in "abc" for n in range(3)})
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (listed.append(path), scandir(path))[1])
    found = find(["photos"])
    next(found)
    assert listed == ["photos/", "photos/a/"]


# --- Patterns ------------------------------------------------------------------------------------


def test_a_pattern_that_the_shell_left_is_matched(here: Path) -> None:
    write(here, dict.fromkeys(["a/1.png", "a/2.jpg", "b/deep/3.png", "b/.4.png", "5.png"], b""))
    assert names("a/*.png") == ["a/1.png"]
    assert names("**/*.png") == ["5.png", "a/1.png", "b/deep/3.png"]
    assert names("[ab]") == ["a/1.png", "a/2.jpg", "b/deep/3.png"]
    assert names("?/*") == ["a/1.png", "a/2.jpg", "b/deep/3.png"]


def test_a_folder_that_matches_is_not_walked_and_matched(here: Path) -> None:
    write(here, dict.fromkeys(["a/1.png", "a/b/2.png", "a-c/3.png"], b""))
    assert names("**") == ["a/1.png", "a/b/2.png", "a-c/3.png"]


def test_a_file_whose_name_is_a_pattern_is_itself(here: Path) -> None:
    write(here, dict.fromkeys(["cat[1].png", "cat1.png"], b""))
    assert names("cat[1].png") == ["cat[1].png"]


def test_a_tilde_that_the_shell_left_is_the_home(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(here))
    write(here, dict.fromkeys(["1.png", "photos/2.png"], b""))
    assert names("~/photos") == [f"{here}/photos/2.png"]
    assert names("~/*.png") == [f"{here}/1.png"]


# --- Archives ------------------------------------------------------------------------------------

MEMBERS = {
    "top.png": b"1",
    "a/deep/er/2.JPG": b"2",
    "notes.txt": b"-",
    ".hidden.png": b"-",
    "__MACOSX/a/._2.png": b"-",
    "a/3 \n.png": b"3",
}
PICTURES = [("top.png", b"1"), ("a/deep/er/2.JPG", b"2"), ("a/3 \n.png", b"3")]


def tar(path: Path, files: Files, kind: str = "w") -> Path:
    with tarfile.open(path, kind) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["p.zip", "p.tar", "p.tar.gz", "p.tgz", "p.tar.bz2", "P.TAR.XZ"])
def test_an_archive_stands_for_the_pictures_in_it_whatever_their_layout(
    here: Path, name: str
) -> None:
    if name == "p.zip":
        zipped(here / name, MEMBERS)
    else:
        suffix = {"gz": "gz", "tgz": "gz", "bz2": "bz2", "XZ": "xz"}.get(name.split(".")[-1])
        tar(here / name, MEMBERS, f"w:{suffix}" if suffix else "w")
    assert list(find([name])) == [Found(f"{name}/{path}", content) for path, content in PICTURES]


def test_an_archive_without_pictures_says_so(here: Path) -> None:
    tar(here / "p.tar", {"notes.txt": b"-"})
    assert reason("p.tar").startswith("holds no pictures")


@pytest.mark.parametrize("pack", [tar, zipped])
def test_a_member_that_escapes_ends_its_archive_and_nothing_else(
    here: Path, pack: Callable[[Path, Files], Path]
) -> None:
    name = "p.zip" if pack is zipped else "p.tar"
    pack(here / name, {"1.png": b"1", "../2.png": b"2", "3.png": b"3"})
    write(here, {"4.png": b"4"})
    first, second, third = find([name, "4.png"])
    assert first == Found(f"{name}/1.png", b"1")
    assert second.name == name
    assert second.reason.startswith("member '../2.png' is a path that leaves the archive")
    assert third == Found("4.png", None)


def test_a_damaged_archive_gives_what_is_before_the_damage(here: Path) -> None:
    whole = tar(here / "p.tar", {f"{n}.png": os.urandom(3000) for n in range(9)}).read_bytes()
    (here / "p.tar").write_bytes(whole[:20_000])
    *found, last = find(["p.tar"])
    assert [one.name for one in found] == [f"p.tar/{n}.png" for n in range(5)]
    assert last == Skipped("p.tar", "is truncated; copy or download it again")


def test_a_bomb_is_not_unpacked(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.data.sources._limits._ALLOWANCE", 1 << 20)
    zipped(here / "p.zip", {f"{n}.png": bytes(8 << 20) for n in range(3)})
    assert "as a decompression bomb does" in reason("p.zip")


def test_a_member_that_declares_too_much_is_passed_over(here: Path) -> None:
    info = tarfile.TarInfo("huge.png")
    info.size = (64 << 20) + 1
    (here / "p.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    first, second = find(["p.tar"])
    assert first == Skipped("p.tar/huge.png", "takes more than 64 MiB; scale it down")
    assert second == Skipped("p.tar", "is truncated; copy or download it again")


# --- Reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 16 << 10, (16 << 10) + 1, (1 << 20) + (16 << 10), 3 << 20])
def test_a_file_is_read_whole(here: Path, size: int) -> None:
    content = os.urandom(size)
    (here / "file").write_bytes(content)
    assert read_file("file") == content


def test_a_pipe_that_is_named_is_read_to_its_end(here: Path) -> None:
    os.mkfifo(here / "pipe.png")
    content = os.urandom(300_000)

    def feed() -> None:
        with Path("pipe.png").open("wb", buffering=0) as pipe:
            for at in range(0, len(content), 10_000):  # the reader gets it in pieces
                pipe.write(content[at : at + 10_000])

    writer = threading.Thread(target=feed)
    writer.start()
    (one,) = find(["pipe.png"])
    assert read_file(one.name) == content
    writer.join()


def test_what_cannot_be_read_has_a_reason(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReadError, match="no such file"):
        read_file("gone.png")
    with pytest.raises(ReadError, match="is a directory"):
        read_file(".")
    with pytest.raises(ReadError, match="more than 64 MiB; scale it down"):
        read_file("/dev/zero")


def in_a_process(code: str, **options: object) -> str:
    return subprocess.run(
        [sys.executable, "-c", f"from tenfold.serving.inputs import *; {code}"],
        capture_output=True,
        check=True,
        **options,
    ).stdout.decode()


def test_standard_input_is_one_picture() -> None:
    printed = in_a_process("print(list(find(['-'])))", input=b"\x00\xff")
    assert printed == "[Found(name='-', content=b'\\x00\\xff')]\n"


def test_a_terminal_is_no_picture() -> None:
    main, terminal = os.openpty()
    try:
        printed = in_a_process("print(list(find(['-'])))", stdin=terminal)
    finally:
        os.close(main)
        os.close(terminal)
    assert "standard input is a terminal; pipe a picture into it" in printed


# --- Counting and duplicates ---------------------------------------------------------------------


def test_what_can_be_counted_is_counted(here: Path) -> None:
    write(here, dict.fromkeys(["1.png", "a/2.png", "a/b/3.png", "a/notes.txt"], b""))
    assert inputs.count(["1.png", "a", "-"]) == 4
    tar(here / "p.tar", MEMBERS)
    assert inputs.count(["1.png", "p.tar"]) is None
    assert inputs.count(["*.png"]) is None


def test_a_path_is_answered_once(here: Path) -> None:
    write(here, dict.fromkeys(["1.png", "a/2.png", "a/.3.png", "a/4.txt", "a/b/5.png"], b""))
    (here / "link").symlink_to("a")
    paths = ["1.png", "a", "./1.png", "a/2.png", "-", "a/.3.png", "a/4.txt", "a/b", "link", "-"]
    kept, repeated = without_duplicates(paths)
    assert kept == ["1.png", "a", "-", "a/.3.png", "a/4.txt", "link"]
    assert sorted(repeated) == ["-", "./1.png", "a/2.png", "a/b"]


def test_what_lies_behind_a_link_in_a_folder_is_no_duplicate(here: Path) -> None:
    write(here, dict.fromkeys(["a/1.png", "b/2.png"], b""))
    (here / "a/link").symlink_to("../b")
    assert without_duplicates(["a", "a/link", "a/link/2.png"]) == (
        ["a", "a/link"],
        ["a/link/2.png"],
    )
    assert without_duplicates(["a", "a/gone.png"]) == (["a", "a/gone.png"], [])
