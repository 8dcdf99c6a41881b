"""Archives, pickles, tables and arrays that were made to do harm."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenfold.data.sources import _cifar_pickle, _parquet, open_source
from tenfold.data.sources import _limits as limits
from tenfold.data.sources._layout import Layout
from tenfold.data.sources.folder import read_picture
from tenfold.data.store import open_store
from tenfold.errors import SourceError
from tenfold.machine import peak_memory

from .test_cifar import Cifar, python2_pickle


def read(path: Path) -> list[tuple[str, object]]:
    source = open_source(path)
    source.fingerprint()
    return [(picture.name, picture.content) for picture in source.pictures()]


def header(name: str, size: int = 0, kind: bytes = b"0", **fields: bytes) -> bytes:
    """The header of a tar's member, with fields as they are given, and a right checksum."""
    places = {"size": (124, 136), "sparse": (386, 495), "prefix": (345, 500)}
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT)[:512])
    for field, value in fields.items():
        start, end = places[field]
        raw[start:end] = value.ljust(end - start, b"\0")
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


# --- Tars ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [b"0", b"x", b"L", b"S"])
def test_a_member_that_goes_on_without_end_is_a_truncated_archive(tmp_path, kind):
    # Eight EiB: the library would read on, past the end, for hundreds of years.
    (tmp_path / "p.tar").write_bytes(header("notes", 2**63 - 1, kind) + bytes(1024))
    with pytest.raises(SourceError, match=r"truncated|not a whole tar"):
        read(tmp_path / "p.tar")


def test_a_sparse_member_that_claims_more_than_a_picture_is_refused_unread(tmp_path):
    hole = b"%011o\0" % 0 + b"%011o\0" % 0
    real = b"%011o\0" % (1 << 33)
    sparse = hole * 4 + b"\0" + real  # no data, and a size of 8 GiB
    (tmp_path / "p.tar").write_bytes(header("a/1.png", kind=b"S", sparse=sparse) + bytes(1024))
    with pytest.raises(SourceError, match=r"takes 8,589,934,592 bytes|not a whole tar"):
        read(tmp_path / "p.tar")


def test_a_member_of_a_name_that_was_there_is_a_picture_of_its_own(write_tar, tmp_path):
    path = write_tar({"a/1.png": b"one"})
    first = path.read_bytes()[:1024]
    path.write_bytes(first + first.replace(b"one", b"two") + path.read_bytes()[1024:])
    assert read(path) == [("a/1.png", b"one"), ("a/1.png", b"two")]


def test_control_characters_stay_in_the_name_and_out_of_the_line(write_tar):
    path = write_tar({"a/\x1b]0;x\x07\n.png": b"", "b": b"", "deep/er/than/\nthe rest.png": b""})
    with pytest.raises(SourceError) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_an_archive_that_holds_itself_is_not_unpacked_again(write_zip, write_tar, png, tmp_path):
    inner = write_zip({"a/1.png": png})
    outer = write_tar({"a/1.png": png, "a/inner.zip": inner.read_bytes()}, "p.tar.gz")
    assert [name for name, _ in read(outer)] == ["a/1.png"]


def test_a_bomb_of_several_streams_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_ALLOWANCE", 8 << 20)
    stream = gzip.compress(bytes(4 << 20))
    (tmp_path / "p.tar.gz").write_bytes(stream * 20)
    with pytest.raises(SourceError, match=r"decompression bomb|not a whole tar|truncated"):
        read(tmp_path / "p.tar.gz")
    big = header("a/notes.txt", 60 << 20) + bytes(60 << 20) + bytes(1024)
    (tmp_path / "p.tar.gz").write_bytes(gzip.compress(big))
    with pytest.raises(SourceError, match="decompression bomb"):
        read(tmp_path / "p.tar.gz")


def test_what_is_remembered_of_folders_is_bounded(monkeypatch):
    monkeypatch.setattr("tenfold.data.sources._layout._FOLDERS", 10)
    layout = Layout("all")
    for number in range(100):
        assert layout.place(f"train/cat/{number}/x.png") == ("train", "cat")
    assert len(layout._places) <= 10
    with pytest.raises(SourceError, match="others do not"):
        layout.place("cat/x.png")


# --- Zips ----------------------------------------------------------------------------------------


def test_entries_that_share_their_data_are_refused_as_a_bomb(tmp_path, monkeypatch):
    """As in Fifield's zip bomb: a thousand entries, one piece of data."""
    monkeypatch.setattr(limits, "_ALLOWANCE", 1 << 20)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/0.png", bytes(1 << 20))
        (info,) = archive.infolist()
        for number in range(1, 1000):
            copy = zipfile.ZipInfo(f"a/{number}.png")
            for field in ("CRC", "compress_size", "file_size", "header_offset", "compress_type"):
                setattr(copy, field, getattr(info, field))
            archive.filelist.append(copy)
    (tmp_path / "p.zip").write_bytes(buffer.getvalue())
    with pytest.raises(SourceError, match="decompression bomb"):
        read(tmp_path / "p.zip")


def test_a_member_larger_than_it_declares_is_damage(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", bytes(30 << 20))
    raw = buffer.getvalue().replace(struct.pack("<I", 30 << 20), struct.pack("<I", 100))
    (tmp_path / "p.zip").write_bytes(raw)
    with pytest.raises(SourceError, match="damaged"):
        read(tmp_path / "p.zip")


@pytest.mark.parametrize("wide", [False, True])
def test_a_directory_that_would_fill_the_memory_is_refused_unread(tmp_path, monkeypatch, wide):
    monkeypatch.setattr("tenfold.data.sources._zip._DIRECTORY", 1000)
    files = {f"a/{number}.png": b"" for number in range(30)}
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    if wide:  # sizes of 64 bits, which a zip of more than 65,535 members has
        raw = path.read_bytes()
        end = raw.rindex(b"PK\5\6")
        size, start = struct.unpack_from("<II", raw, end + 12)
        record = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 30, 30, size, start)
        locator = b"PK\6\7" + struct.pack("<IQI", 0, end, 1)
        last = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
        path.write_bytes(raw[:end] + record + locator + last)
        assert len(zipfile.ZipFile(path).namelist()) == 30
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(SourceError, match=r"has a directory of .* bytes, more than fits"):
        read(path)


def test_names_that_are_no_text_are_damage(write_zip, png):
    path = write_zip({"é/1.png": png})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xfe"))
    with pytest.raises(SourceError, match="damaged"):
        read(path)


# --- Folders -------------------------------------------------------------------------------------


def test_folders_in_folders_without_end_are_refused(write_tree, png):
    tree = write_tree({"d/" * 150 + "1.png": png})
    with pytest.raises(SourceError, match="more than 100 folders deep"):
        open_source(tree)


def test_a_pipe_that_a_table_names_is_no_picture(tmp_path, png):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("path,label\na.png,cat\n/dev/zero,dog\n")
    with pytest.raises(SourceError, match=r"2 of 2 pictures do not exist"):
        open_source(tmp_path / "t.csv")


def test_a_picture_that_becomes_a_pipe_while_it_is_read_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "1.png")
    with pytest.raises(SourceError, match=r"picture '1.png': it is no regular file"):
        read_picture(tmp_path / "1.png", "tree", "1.png")


# --- CIFAR ---------------------------------------------------------------------------------------

ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"}(U\x04data" + ARRAY + b"u", "begun and not filled"),
        (b"}(K\x01K\x02u", "a key that is no text"),
        (b"}(" + b")" + b"\x85" * 2000 + b"K\x01u", "more instructions"),
        (b"](" + b"]" * 1_100_000 + b"e", "more instructions"),
        (b"cnumpy\ndtype\nT" + struct.pack("<i", 10**6) + b"x" * 10**6 + b"\x85R", "another dtype"),
    ],
    ids=["begun", "key", "tuples", "lists", "dtype"],
)
def test_a_pickle_that_only_costs_is_refused(body, reason):
    with pytest.raises(SourceError, match=reason) as caught:
        _cifar_pickle.load(b"\x80\x02" + body + b".", "batch")
    assert len(str(caught.value)) < 500


def test_a_name_of_a_million_letters_makes_no_line_of_a_million(tmp_path):
    raw = b"\x80\x04" + b"X" + struct.pack("<I", 10**6) + b"m" * 10**6 + b"X\1\0\0\0f\x93."
    with pytest.raises(SourceError, match=r"asks for m.* official site") as caught:
        _cifar_pickle.load(raw, "batch")
    assert len(str(caught.value)) <= 2000


def test_labels_beyond_every_class_are_refused(write_tar):
    files = Cifar(np.random.default_rng(0), 10).python()
    name = next(name for name in files if name.endswith("data_batch_1"))
    number = b"\x8a\x0a" + b"\xff" * 9 + b"\x7f"  # of 80 bits
    batch = python2_pickle({b"data": np.zeros((1, 3072), np.uint8), b"labels": [0]})
    files[name] = batch.replace(b"J\0\0\0\0e", number + b"e")
    with pytest.raises(SourceError, match="labels from"):
        read(write_tar(files, "c.tar"))


def test_batches_larger_than_cifar_10_has_are_refused_unread(write_tree):
    """Five of them wait in memory, should the first come last."""
    tree = write_tree(Cifar(np.random.default_rng(0), 10).python())
    with (tree / "cifar-py/data_batch_2").open("wb") as file:
        file.truncate(41 << 20)
    with pytest.raises(SourceError, match="more than any file of CIFAR-10"):
        read(tree)


# --- Tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label," + ",".join(f"c{i}" for i in range(1_000_000)), "a line of more than"),
        ("path,label\n" + "x" * (2 << 20) + ",cat\n", "a line of more than"),
        ("path,label\n" + "x" * 200_000 + ",cat\n", "field larger than field limit"),
        ("path,label\n" + "x" * 5000 + ",cat\n", "1 of 1 pictures do not exist"),
        ("path,label\na\0.png,cat\n", "NUL|is no path"),
        ("path,label,path\na.png,cat,b.png\n", "two columns 'path'"),
    ],
    ids=["columns", "line", "field", "name", "nul", "twice"],
)
def test_a_csv_that_only_costs_is_refused(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SourceError, match=message) as caught:
        open_source(tmp_path / "t.csv")
    assert len(str(caught.value)) <= 2000


def parquet(path: Path, columns: dict[str, object], **options: object) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_a_parquet_text_that_is_repeated_at_no_cost_is_refused(tmp_path):
    """A row takes a bit of the file; 8,192 rows of this text would take 8 GB."""
    rows = 100_000
    texts = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), ["x" * (2 << 20)])
    path = parquet(tmp_path / "t.parquet", {"path": texts, "label": ["cat"] * rows})
    assert path.stat().st_size < 1 << 20
    with pytest.raises(SourceError, match=r"has a text of 2,097,152 letters"):
        open_source(path)


def test_a_parquet_column_that_expands_like_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_ALLOWANCE", 1 << 20)
    texts = ["x" * 8000] * 1000
    path = parquet(
        tmp_path / "t.parquet", {"path": texts, "label": ["cat"] * 1000},
        use_dictionary=False, compression="zstd",
    )  # fmt: skip
    with pytest.raises(SourceError, match="decompression bomb"):
        open_source(path)


def zigzag(number: int) -> bytes:
    """A whole number as Thrift's compact encoding has it."""
    number, groups = number << 1, bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def test_a_parquet_page_that_lies_beside_the_footer_is_refused_in_little_memory(tmp_path):
    """A page of 300 MB in 10 kB, whose footer says that it has 1 kB."""
    rows = 300
    texts = ["x" * (1 << 20)] * rows
    path = parquet(
        tmp_path / "t.parquet", {"path": texts, "label": ["cat"] * rows}, use_dictionary=False,
        compression="zstd", data_page_size=1 << 30, write_statistics=False, write_batch_size=rows,
    )  # fmt: skip
    told = pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size
    content = path.read_bytes()
    assert len(content) < 200_000
    # Of the same length, so that nothing else has to be mended.
    truth, lie = zigzag(told), zigzag(1000).ljust(1, b"\0")
    lie = bytes([*(byte | 0x80 for byte in lie), *b"\x80" * (len(truth) - len(lie) - 1), 0])
    at = content.rindex(truth, 0, len(content) - 8)
    path.write_bytes(content[:at] + lie + content[at + len(truth) :])
    column = pq.read_metadata(path).row_group(0).column(0)
    assert (column.total_uncompressed_size, column.total_compressed_size < 200_000) == (1000, True)
    before = peak_memory()
    with pytest.raises(SourceError, match=r"a page of it takes 31\d,\d{3},\d{3} bytes"):
        open_source(path)
    assert peak_memory() < before + (50 << 20)


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_a_parquet_encoding_that_repeats_texts_at_no_cost_is_refused(tmp_path, encoding):
    path = parquet(
        tmp_path / "t.parquet", {"path": ["x" * 5000] * 9000, "label": ["cat"] * 9000},
        use_dictionary=False, column_encoding={"path": encoding},
    )  # fmt: skip
    with pytest.raises(SourceError, match="delta encoding; write it with plain"):
        open_source(path)


def test_a_parquet_column_of_long_values_of_a_fixed_length_is_refused(tmp_path):
    """Unlike a text, each is held once for each row of a batch."""
    values = pa.array([b"x" * 10_000] * 9, pa.binary(10_000))
    path = parquet(tmp_path / "t.parquet", {"path": values, "label": ["cat"] * 9})
    with pytest.raises(SourceError, match="'path' holds values longer than any text"):
        open_source(path)


@pytest.mark.parametrize("options", [
    {}, {"compression": "none"}, {"use_dictionary": False}, {"row_group_size": 2},
    {"data_page_version": "2.0", "compression": "zstd"},
    {"data_page_size": 10, "write_batch_size": 2},
])  # fmt: skip
def test_every_page_of_the_parquet_columns_that_are_read_is_looked_at(tmp_path, options):
    """By what pyarrow itself says of them; nested columns beside them are nobody's business."""
    rows = 7
    columns = {
        "path": ["a", "b", None, "d", "a", "", "g"], "more": [{"path": "x", "all": [1, 2]}] * rows,
        "label": list(range(rows)), "deep": [[{"label": [[1]], "b": 2}]] * rows,
        "split": ["val"] * rows,
    }  # fmt: skip
    path = parquet(tmp_path / "t.parquet", columns, **options)
    found = _parquet.check(path, ("path", "label", "split"))
    metadata = pq.read_metadata(path)
    parts = [
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    ]
    wanted = [part for part in parts if part.path_in_schema in ("path", "label", "split")]
    headers = sum(part.total_uncompressed_size for part in wanted) - found.expanded
    assert found.texts == ("path", "split")
    assert 0 < headers < 120 * rows * len(wanted)
    assert found.expanded > 0


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"PAR1PAR1", b"PAR1\xff\xff\xff\x7fPAR1", b"x" * 50 + b"\x08\0\0\0PAR1",
     # A list of 2**31 structs, a struct in a struct in a struct, and texts longer than the file.
     b"\x29\xfc\xff\xff\xff\xff\x07" + b"\0" * 9 + b"\x10\0\0\0PAR1",
     b"\x1c" * 2000 + b"\xd0\x07\0\0PAR1", b"\x18\xff\xff\xff\xff\x0f" + b"\x06\0\0\0PAR1"],
)  # fmt: skip
def test_parquet_descriptions_that_are_none_are_refused(tmp_path, content):
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(SourceError, match="is not a readable Parquet file"):
        open_source(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([("path", ["a"]), ("path", ["a"]), ("label", ["b"])], "two columns 'path'"),
        ([("path", [b"\xff\xfe"]), ("label", ["b"])], "do not exist|not a readable"),
        ([("path", [{"x": 1}]), ("label", ["b"])], "do not exist|not a readable"),
    ],
)
def test_parquet_columns_that_nobody_expects_are_refused(tmp_path, columns, message):
    names = [name for name, _ in columns]
    table = pa.Table.from_arrays([pa.array(values) for _, values in columns], names=names)
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=message):
        open_source(tmp_path / "t.parquet")


# --- Arrays --------------------------------------------------------------------------------------

IMAGES = np.zeros((2, 4, 4, 3), np.uint8)


def npz(path: Path, **arrays: bytes | np.ndarray) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            if isinstance(array, np.ndarray):
                np.lib.format.write_array(buffer, array, allow_pickle=True)
            archive.writestr(f"{name}.npy", buffer.getvalue() or array)
    return path


def headed(text: str, data: bytes = b"") -> bytes:
    raw = text.encode() + b"\n"
    return b"\x93NUMPY\1\0" + len(raw).to_bytes(2, "little") + raw + data


@pytest.mark.parametrize(
    "text",
    [
        "{" * 3000, "(" * 5000, "-" * 9000 + "1", "{1: 2, 'a': 3}", "'\\x", "x" * 60_000,
        "{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (2L,), }",
        "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "__import__('os').system('touch owned')",
    ],
)  # fmt: skip
def test_a_header_is_read_as_a_literal_or_refused(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    path = npz(tmp_path / "a.npz", images=IMAGES, labels=headed(text))
    with pytest.raises(SourceError, match="'labels'"):
        open_source(path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("code", [0xD800, 0x110000, 0xFFFFFFFF])
def test_text_that_is_no_text_is_refused(tmp_path, code):
    labels = np.array([65, code], np.uint32).view("<U1")
    with pytest.raises(SourceError, match="holds what is no text"):
        read(npz(tmp_path / "a.npz", images=IMAGES, labels=labels))


def test_more_classes_than_fit_in_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "CLASSES", 5)
    images = np.zeros((7, 4, 4, 3), np.uint8)
    with pytest.raises(SourceError, match="more than 5 classes"):
        open_source(npz(tmp_path / "a.npz", images=images, labels=np.arange(7)))
    names = np.array(list("abcdefg"))
    with pytest.raises(SourceError, match="more than 5 classes"):
        open_source(
            npz(tmp_path / "a.npz", images=images, labels=np.arange(7) % 2, class_names=names)
        )


def test_every_kind_of_source_is_held_to_the_number_of_classes(write_tar, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "CLASSES", 5)
    source = open_source(write_tar({f"{number}/x.png": b"" for number in range(7)}))
    with pytest.raises(SourceError, match="more than 5 classes"):
        open_store(source, size=8, cache=tmp_path / "cache")
