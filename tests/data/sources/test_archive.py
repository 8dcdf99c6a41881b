import gzip
import io
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from tenfold.data.sources import ArchiveSource, open_source
from tenfold.errors import SourceError

REAL = Path(__file__).parents[4] / "shared/data/cifar10-images.tar.xz"


@pytest.fixture
def files(png):
    return {
        "train/cat/1.png": png, "train/dog/2.PNG": b"two", "train/README": b"-",
        "val/cat/3.png": b"three", "test/dog/4.png": b"", "__MACOSX/train/cat/._1.png": b"-",
    }  # fmt: skip


def read(path):
    return [(p.name, p.split, p.label, p.content) for p in open_source(path).pictures()]


@pytest.fixture
def expected(png):
    return [
        ("train/cat/1.png", "train", "cat", png),
        ("train/dog/2.PNG", "train", "dog", b"two"),
        ("val/cat/3.png", "validation", "cat", b"three"),
        ("test/dog/4.png", "test", "dog", b""),
    ]


@pytest.mark.parametrize(
    "name", ["p.tar", "p.tar.gz", "p.tgz", "p.tar.bz2", "p.tar.xz", "P.TAR", "misnamed.tar"]
)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_kind_of_tar_reads_alike(write_tar, files, expected, name, form, tmp_path):
    if name == "misnamed.tar":
        write_tar(files, "x.gz", format=form).rename(tmp_path / name)
    else:
        write_tar(files, name, format=form)
    assert read(tmp_path / name) == expected


def test_a_zip_reads_as_a_tar_does(write_zip, files, expected):
    path = write_zip(files)
    assert read(path) == expected
    assert open_source(path).kind == "archive"


def test_long_and_foreign_names_are_read_by_the_library(write_tar, png):
    name = "train/" + "é" * 90 + "/" + "x" * 120 + ".png"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = write_tar({"train/a/1.png": b"1", name: png, "train/b/2.png": b"2"}, format=form)
        assert [row[0] for row in read(path)] == ["train/a/1.png", name, "train/b/2.png"]
        assert [row[3] for row in read(path)] == [b"1", png, b"2"]


def test_dots_and_empty_parts_in_names_mean_nothing(write_tar, png):
    assert [row[:3] for row in read(write_tar({"./cat//1.png": png}))] == [
        ("cat/1.png", None, "cat")
    ]


def test_several_compressed_streams_make_one_tar(write_tar, files, expected, tmp_path):
    plain = write_tar(files).read_bytes()
    parts = gzip.compress(plain[:700]) + gzip.compress(plain[700:]) + bytes(512)
    (tmp_path / "parts.tar.gz").write_bytes(parts)
    assert read(tmp_path / "parts.tar.gz") == expected


HOSTILE = ["../x.png", "cat/../../x.png", "/etc/x.png", "C:/x.png", "..\\x.png", "C:\\x.png"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_with_an_escaping_name_is_refused(write_tar, png, name, form):
    path = write_tar({"cat/1.png": png, name: png}, format=form)
    with pytest.raises(SourceError, match="leaves the archive") as caught:
        read(path)
    assert repr(name.replace("\\", "/")) in str(caught.value)


@pytest.mark.parametrize("name", [*HOSTILE, "cat/1.png\0.txt"])
def test_a_zip_with_an_escaping_name_is_refused(write_zip, png, name):
    info = zipfile.ZipInfo("x")
    info.filename = name  # the constructor would cut it at NUL
    path = write_zip({"cat/1.png": png, info: png})
    with pytest.raises(SourceError, match="leaves the archive"):
        read(path)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(write_tar, png, kind):
    info = tarfile.TarInfo("cat/link.png")
    info.type, info.linkname = kind, "/etc/passwd"
    path = write_tar({"cat/1.png": png}, extra=[info])
    with pytest.raises(SourceError, match=r"'cat/link.png' is a link or a device"):
        read(path)


def test_a_link_in_a_zip_is_refused(write_zip, png):
    info = zipfile.ZipInfo("cat/link.png")
    info.external_attr = 0o120777 << 16
    path = write_zip({"cat/1.png": png, info: b"/etc/passwd"})
    with pytest.raises(SourceError, match=r"'cat/link.png' is a link or a device"):
        read(path)


def test_an_encrypted_zip_is_refused(write_zip, png):
    path = write_zip({"cat/1.png": png})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    path.write_bytes(raw)
    with pytest.raises(SourceError, match=r"'cat/1.png' is encrypted"):
        read(path)


@pytest.mark.parametrize("name", ["p.tar", "p.tar.gz", "p.tar.bz2", "p.tar.xz", "p.zip"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.85])
def test_a_truncated_archive_gives_one_line(write_tar, write_zip, rng, name, share):
    files = {f"cat/{i}.png": rng.bytes(5000) for i in range(8)}
    path = write_zip(files, name) if name.endswith("zip") else write_tar(files, name)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])
    with pytest.raises(SourceError, match=r"truncated|not a whole|damaged"):
        read(path)


@pytest.mark.parametrize("name", ["cat/1.png", f"cat/{'x' * 120}.png"])
def test_a_tar_cut_between_two_members_is_noticed(write_tar, png, name):
    path = write_tar({name: b"1" * 512, "dog/2.png": png})
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.index(b"1" * 512) + 512])
    with pytest.raises(SourceError, match="truncated"):
        read(path)


@pytest.mark.parametrize("name", ["p.tar.gz", "p.tar.bz2", "p.tar.xz", "p.zip"])
def test_a_damaged_archive_gives_one_line(write_tar, write_zip, rng, name):
    files = {f"cat/{i}.png": rng.bytes(5000) for i in range(8)}
    path = write_zip(files, name) if name.endswith("zip") else write_tar(files, name)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 64] = bytes(64)
    path.write_bytes(raw)
    with pytest.raises(SourceError):
        read(path)


@pytest.mark.parametrize("name", ["p.tar", "p.zip"])
def test_a_file_that_is_no_archive_gives_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"I am not an archive. " * 100)
    with pytest.raises(SourceError):
        read(tmp_path / name)


def test_zstd_says_what_to_do(tmp_path):
    (tmp_path / "p.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    with pytest.raises(SourceError, match="zstd -d"):
        read(tmp_path / "p.tar.zst")


def test_a_member_that_declares_too_much_is_not_read(tmp_path):
    info = tarfile.TarInfo("cat/1.png")
    info.size = (64 << 20) + 1
    (tmp_path / "p.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    with pytest.raises(SourceError, match=r"'cat/1.png' takes 67,108,865 bytes"):
        read(tmp_path / "p.tar")


@pytest.mark.parametrize("name", ["bomb.tar.xz", "bomb.zip"])
def test_a_decompression_bomb_is_refused(tmp_path, name, monkeypatch):
    monkeypatch.setattr("tenfold.data.sources._limits._ALLOWANCE", 1 << 20)
    files = {f"notes/{i}.txt": bytes(8 << 20) for i in range(3)}
    if name.endswith("zip"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                archive.writestr(path, content)
    else:
        with tarfile.open(tmp_path / name, "w:xz") as archive:
            for path, content in files.items():
                info = tarfile.TarInfo(path)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    with pytest.raises(SourceError, match="decompression bomb"):
        read(tmp_path / name)


def test_an_archive_without_pictures_is_refused(write_tar):
    with pytest.raises(SourceError, match="holds no pictures"):
        read(write_tar({"notes.txt": b""}))


def test_reading_may_stop_early(write_tar, rng):
    path = write_tar({f"cat/{i}.png": rng.bytes(100_000) for i in range(300)}, "p.tar.gz")
    pictures = open_source(path).pictures()
    assert next(pictures).name == "cat/0.png"
    pictures.close()  # hangs if the thread that reads ahead is not told


def test_the_fingerprint_is_of_the_content(write_tar, png, tmp_path):
    path = write_tar({"cat/1.png": png})
    before = ArchiveSource(path).fingerprint()
    moved = path.rename(tmp_path / "moved.tar")
    assert ArchiveSource(moved).fingerprint() == before
    moved.write_bytes(moved.read_bytes() + b"\0")
    assert ArchiveSource(moved).fingerprint() != before


@pytest.mark.skipif(not REAL.exists(), reason=f"needs {REAL.name} in ../shared/data")
def test_all_of_cifar10_is_read():
    pictures = [(p.split, p.label, len(p.content)) for p in open_source(REAL).pictures()]
    per_class = Counter((split, label) for split, label, _ in pictures)
    assert len(pictures) == 60_000
    assert len(per_class) == 20
    assert {n for (split, _), n in per_class.items() if split == "train"} == {5000}
    assert {n for (split, _), n in per_class.items() if split == "test"} == {1000}
