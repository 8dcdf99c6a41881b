import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenfold.data.sources import open_source
from tenfold.errors import SourceError


@pytest.fixture
def pictures(write_tree, png):
    """A folder with pictures a.png to d.png, in which tables can be written."""
    return write_tree({f"img/{name}.png": png + name.encode() for name in "abcd"})


def write_csv(folder, text, encoding="utf-8"):
    path = folder / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


def read(path):
    return [(p.name, p.label, p.split, p.content[-1:]) for p in open_source(path).pictures()]


SPLIT_CSV = """\
path,label,split
img/b.png,cat,train
img/a.png,dog, Train
img/c.png,cat,valid
img/d.png,dog,test
"""
SPLIT_ROWS = [
    ("img/b.png", "cat", "train", b"b"),
    ("img/a.png", "dog", "train", b"a"),
    ("img/c.png", "cat", "validation", b"c"),
    ("img/d.png", "dog", "test", b"d"),
]


def test_a_csv_is_read_in_its_order(pictures):
    source = open_source(write_csv(pictures, SPLIT_CSV))
    assert read(source.name) == SPLIT_ROWS
    assert source.kind == "table"
    assert source.expected_count == 4


def test_a_spreadsheets_csv_is_read(pictures):
    text = SPLIT_CSV.replace("\n", "\r\n").replace("label", '"label"')
    assert read(write_csv(pictures, text, "utf-8-sig")) == SPLIT_ROWS


def test_a_parquet_table_reads_as_a_csv_does(pictures):
    rows = [{"path": p, "label": c, "split": s, "more": 1} for p, c, s, _ in SPLIT_ROWS]
    pq.write_table(pa.Table.from_pylist(rows), pictures / "table.parquet")
    assert read(pictures / "table.parquet") == SPLIT_ROWS


def test_parquet_labels_may_be_numbers_and_splits_absent(pictures):
    table = pa.table({"label": [3, 12], "path": ["img/a.png", "img/b.png"]})
    pq.write_table(table, pictures / "table.parquet")
    assert read(pictures / "table.parquet") == [
        ("img/a.png", "3", None, b"a"),
        ("img/b.png", "12", None, b"b"),
    ]


def test_paths_may_leave_the_folder_or_be_absolute(pictures, tmp_path, png):
    (tmp_path / "out.png").write_bytes(png)
    absolute = pictures / "img/a.png"
    path = write_csv(pictures, f"path,label\n../out.png,cat\n{absolute},dog\n")
    assert [row[0] for row in read(path)] == ["../out.png", str(absolute)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no column 'path' \(it has: none\)"),
        ("path,label\n", "has no rows"),
        ("file,label\nimg/a.png,cat\n", r"no column 'path' \(it has: file, label\)"),
        ("path,class\nimg/a.png,cat\n", r"no column 'label' \(it has: path, class\)"),
        ("path;label\nimg/a.png;cat\n", "separated by semicolons; save it with commas"),
        ("path\tlabel\nimg/a.png\tcat\n", "separated by tabs"),
        ("path,label\nimg/a.png,\n", "row 1 has no label"),
        ("path,label\nimg/a.png,cat\n,dog\n", "row 2 has no path"),
        ("path,label\nimg/a.png\n", "row 1 has no label"),
        ("path,label,split\nimg/a.png,cat,dev\n", "row 1: unknown split 'dev'"),
        ("path,label\nhttps://x.org/a.png,cat\n", "is an address; download"),
        ("path,label,split\nimg/a.png,cat,train\nimg/b.png,cat,\n", "others have none"),
        ("path,label,split\nimg/a.png,cat,train\nimg/b.png,dog,test\n", "test split holds class"),
        ("path,label\nimg/x.png,a\nimg/a.png,a\nimg/y.png,b\n",
         r"2 of 3 pictures do not exist \('img/x.png', 'img/y.png'\)"),
        ("path,label\n" + "".join(f"{i}.png,a\n" for i in range(9)),
         r"9 of 9 pictures do not exist \('0.png', '1.png', '2.png', ...\)"),
        ('path,label\n"img/a.png,cat\n', "not a valid CSV"),
    ],
)  # fmt: skip
def test_a_wrong_table_gives_one_line_when_opened(pictures, text, message):
    with pytest.raises(SourceError, match=message):
        open_source(write_csv(pictures, text))


def test_another_encoding_gives_one_line(pictures):
    with pytest.raises(SourceError, match="save it as UTF-8"):
        open_source(write_csv(pictures, "path,label\nimg/a.png,Kätzchen\n", "latin-1"))


def test_a_damaged_parquet_file_gives_one_line(pictures):
    (pictures / "table.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(SourceError, match="not a readable Parquet file"):
        open_source(pictures / "table.parquet")


def test_the_fingerprint_follows_rows_and_pictures(pictures):
    path = write_csv(pictures, SPLIT_CSV)
    fingerprints = {open_source(path).fingerprint()}
    os.utime(pictures / "img/a.png", ns=(1, 1))
    fingerprints.add(open_source(path).fingerprint())
    path.write_text(SPLIT_CSV.replace("img/c.png,cat", "img/c.png,dog"))
    fingerprints.add(open_source(path).fingerprint())
    path.write_text(SPLIT_CSV.replace("valid", "test"))
    fingerprints.add(open_source(path).fingerprint())
    assert len(fingerprints) == 4
