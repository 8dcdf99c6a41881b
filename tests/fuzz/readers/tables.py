"""CSV and Parquet tables, and .npz files of arrays."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy

from tenfold.data.sources import open_source

from ..mutation import NUMBERS, TEXTS, damaged
from ..reader import File, Reader
from .archives import read

_ROWS = [("a.png", "cat", "train"), ("b.png", "dog", "train"), ("a.png", "cat", "test")]


def _prepare(folder: Path) -> None:
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(b"a picture")


def _csv_seeds() -> list[File]:
    text = "path,label,split\n" + "".join(",".join(row) + "\n" for row in _ROWS)
    quoted = 'label,"path"\n"cat","a.png"\n"a ""dog""","b.png"\n'
    contents = (
        text.encode(),
        b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
        quoted.encode(),
    )
    return [File("t.csv", content) for content in contents]


def _mutate_csv(rng: Random, seeds: Sequence[File]) -> File:
    raw = rng.choice(seeds).content
    if rng.random() < 0.5:
        return File("t.csv", damaged(rng, raw, [seed.content for seed in seeds]))
    cells = [line.split(b",") for line in raw.split(b"\n")]
    line = rng.choice(cells)
    text = rng.choice(
        (*TEXTS, str(rng.choice(NUMBERS)), '"', '""', ",", ",,,,", "\r", "x" * 140_000)
    )
    line[rng.randrange(len(line))] = text.encode("utf-8", "replace") * rng.choice((1, 1, 1, 50))
    return File("t.csv", b"\n".join(b",".join(cell) for cell in cells))


def _parquet(table: pa.Table, **options: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def _parquet_seeds() -> list[File]:
    columns = dict(
        zip(("path", "label", "split"), map(list, zip(*_ROWS, strict=True)), strict=True)
    )
    table = pa.table(columns)
    numbers = pa.table({"label": [3, 12], "path": ["a.png", "b.png"], "more": [[1], [2, 3]]})
    contents = (
        _parquet(table), _parquet(table, compression="none", use_dictionary=False),
        _parquet(table, compression="zstd", data_page_version="2.0", row_group_size=2),
        _parquet(table, compression="gzip"), _parquet(numbers, compression="none"),
    )  # fmt: skip
    return [File("t.parquet", content) for content in contents]


def _mutate_parquet(rng: Random, seeds: Sequence[File]) -> File:
    """Damage anywhere, in the footer above all: it says where everything lies."""
    raw = rng.choice(seeds).content
    others = [seed.content for seed in seeds]
    match rng.randrange(3):
        case 0:
            return File("t.parquet", damaged(rng, raw, others))
        case 1:
            length = int.from_bytes(raw[-8:-4], "little")
            footer = damaged(rng, raw[-8 - length : -8], others)
            tail = len(footer).to_bytes(4, "little") + b"PAR1"
            return File("t.parquet", raw[: -8 - length] + footer + tail)
        case _:  # sound, of columns that nobody expects
            return File("t.parquet", _parquet(_strange(rng)))


def _strange(rng: Random) -> pa.Table:
    columns = {
        "path": ["a.png", "b.png"], "label": ["cat", "dog"], "split": ["train", "train"],
        rng.choice(("path", "label", "split", "x", "", "path ")): rng.choice(
            ([1, 2], [None, None], [b"\xff\xfe", b"a"], [[1], [2]], [{"a": 1}, {"a": 2}],
             [1.5, float("nan")], [True, None], [rng.choice(TEXTS), rng.choice(TEXTS)],
             [10**15, -1], ["x" * 100_000, "a.png"])
        ),
    }  # fmt: skip
    table = pa.table(columns)
    if rng.random() < 0.2:  # two columns of one name
        table = table.append_column(rng.choice(("path", "label")), [["a.png", "b.png"]])
    if rng.random() < 0.2:
        kind = rng.choice((pa.binary(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())))
        table = table.set_column(0, "path", pa.array(["a.png", "b.png"]).cast(kind))
    return table


def _arrays(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content)
    return buffer.getvalue()


def _array(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    npy.write_array(buffer, array)
    return buffer.getvalue()


_IMAGES = np.arange(4 * 3 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3, 3)
_SETS = (
    {"images": _IMAGES, "labels": np.array([0, 1, 0, 1]), "class_names": np.array(["a", "b"])},
    {"images": _IMAGES[..., 0] / 255, "labels": np.array(["x", "y", "x", "y"]),
     "split": np.array(["train", "train", "val", "test"])},
    {"x_train": _IMAGES, "y_train": np.array([[1], [2], [1], [2]], np.uint8),
     "x_test": _IMAGES[:2], "y_test": np.array([1, 2], ">i8")},
)  # fmt: skip


def _npz_seeds() -> list[File]:
    return [
        File("a.npz", _arrays({name: _array(array) for name, array in arrays.items()}))
        for arrays in _SETS
    ]


def _mutate_npz(rng: Random, seeds: Sequence[File]) -> File:
    if rng.random() < 0.2:
        raw = rng.choice(seeds).content
        return File("a.npz", damaged(rng, raw, [seed.content for seed in seeds]))
    files = {name: _array(array) for name, array in rng.choice(_SETS).items()}
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(list(files))
        match rng.randrange(3):
            case 0:
                files[name] = damaged(rng, files[name])
            case 1:
                files[name] = _headed(rng, files[name])
            case _:
                files[
                    rng.choice(("labels", "images", "split", "class_names", "x_val", "", "../x"))
                ] = files[name]
    return File("a.npz", _arrays(files))


def _headed(rng: Random, raw: bytes) -> bytes:
    """An array whose header says something else, in a form that mostly can be read."""
    length = int.from_bytes(raw[8:10], "little")
    number = rng.choice(NUMBERS)
    shape = rng.choice(
        (f"({number},)", f"({number}, 3, 3, 3)", f"(4, {number}, 3, 3)", "()", "(0,)", "(4, 0)",
         f"({number}, {number})", "(4, 3, 3, 3)", "[4]", "(True,)", "(4.0,)", "None", "(" * 90)
    )  # fmt: skip
    kind = rng.choice(
        ("'|u1'", "'|O'", "'<U0'", "'<U1'", "'|S0'", "'|V0'", "'<f2'", "'<f16'", "'<M8[ns]'", "'<i8'",
         f"'<U{abs(number)}'", f"'|V{abs(number)}'", "[('a', '<i4')]", f"[('a', '<i4', ({number},))]",
         "[('a', '|O')]", "'u1, O'", "''", "None", "1", "'__class__'", "[" * 90, "'<c8'", "'\\x41'",
         "('<f4', (2, 2))", "[('a', '<i4'), ('a', '<i4')]", "{'names': ['a'], 'formats': ['O']}")
    )  # fmt: skip
    order = rng.choice(("False", "False", "False", "True", "0", "None"))
    header = rng.choice(
        (f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}",
         f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, 1: 2}}",
         f"{{'descr': {kind}, 'shape': {shape}}}", "{" * 200, "{1: {}}", "{}[0]", "lambda: 0",
         f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': ({number}L,), }}",
         "__import__('os').system('touch owned')", "-" * 3000 + "1")
    )  # fmt: skip
    text = header.encode() + b"\n"
    if rng.random() < 0.2:
        text = damaged(rng, text)
    return raw[:6] + b"\1\0" + len(text).to_bytes(2, "little") + text + raw[10 + length :]


def _read_table(file: File, folder: Path) -> None:
    path = folder / file.name
    path.write_bytes(file.content)
    source = open_source(path)
    source.fingerprint()
    for picture in source.pictures():
        len(picture.content)


READERS = (
    Reader("csv", _csv_seeds, _mutate_csv, _read_table, 3, _prepare, reads_elsewhere=True),
    Reader(
        "parquet", _parquet_seeds, _mutate_parquet, _read_table, 2, _prepare, reads_elsewhere=True
    ),
    Reader("npz", _npz_seeds, _mutate_npz, read, 3),
)
