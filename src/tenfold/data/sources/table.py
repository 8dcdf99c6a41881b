"""A CSV or Parquet table with a path and a label for each picture, and perhaps a split."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from tenfold.data.sources import _fingerprint, _parquet
from tenfold.data.sources._layout import SPLITS, Place, SplitCheck
from tenfold.data.sources._limits import check_expansion
from tenfold.data.sources.base import Picture, Source, SplitName
from tenfold.data.sources.folder import read_picture
from tenfold.errors import SourceError

TABLE_SUFFIXES = (".csv", ".parquet")
_COLUMNS = ("path", "label", "split")
_NAMED = 3  # how many missing files a message names
_BATCH_ROWS = 8192
_LINE = 1 << 20
_TEXT = 1 << 13  # twice what a path may have


class _Row(NamedTuple):
    path: str
    label: str
    split: SplitName | None


class TableSource(Source):
    """Pictures in a table's order; relative paths start from the table's folder.

    Absolute paths are allowed: the table is the user's own file. The whole table is checked when
    the source is made, row by row, and read again for the pictures.

    Raises:
        SourceError: when made: a column is missing, a row is incomplete, a split is unknown, or
            pictures do not exist.
    """

    kind = "table"

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._folder = path.parent
        self._count = self._check()

    @property
    def expected_count(self) -> int:
        """The number of rows."""
        return self._count

    def fingerprint(self) -> str:
        """SHA-256 of every row, with its picture's size and time of change."""
        stats = ((row, self._stat(row.path)) for row in self._rows())
        return _fingerprint.of_records(
            self.kind, ((*row, stat.st_size, stat.st_mtime_ns) for row, stat in stats)
        )

    def pictures(self) -> Iterator[Picture]:
        """Every row's picture, encoded."""
        for path, label, split in self._rows():
            content = read_picture(self._folder / path, self.name, path)
            yield Picture(path, label, split, content)

    def _stat(self, path: str) -> os.stat_result:
        try:
            return (self._folder / path).stat()
        except OSError as error:
            raise SourceError(f"{self.name}: picture {path!r}: {error.strerror}") from None

    def _exists(self, path: str) -> bool:
        try:
            return (self._folder / path).is_file()
        except OSError:  # the name is too long, or a folder on the way may not be entered
            return False

    def _check(self) -> int:
        check = SplitCheck(self.name)
        splits: set[SplitName | None] = set()
        missing: list[str] = []
        count = missing_count = 0
        for row in self._rows():
            count += 1
            check.add(Place(row.split, row.label))
            splits.add(row.split)
            if not self._exists(row.path):
                missing_count += 1
                missing += [repr(row.path)] if len(missing) < _NAMED else []
        if not count:
            raise SourceError(f"{self.name} has no rows; list one picture in each")
        if missing_count:
            raise SourceError(
                f"{self.name}: {missing_count} of {count} pictures do not exist "
                f"({', '.join(missing)}{', ...' if missing_count > len(missing) else ''}); "
                f"paths start from the table's folder, {self._folder.resolve()}"
            )
        if None in splits and len(splits) > 1:
            raise SourceError(
                f"{self.name}: some rows have a split and others have none; fill in all or none"
            )
        check.finish()
        return count

    def _rows(self) -> Iterator[_Row]:
        raw = self._csv() if self._path.suffix.lower() == ".csv" else self._parquet()
        for number, (path, label, split) in enumerate(raw, start=1):
            where = f"{self.name}, row {number}"
            if not path or not label:
                raise SourceError(f"{where} has no {'label' if path else 'path'}; fill it in")
            if "://" in path:
                raise SourceError(
                    f"{where}: {path!r} is an address; download the picture and give its path"
                )
            if "\0" in path:
                raise SourceError(f"{where}: {path!r} is no path; mend it")
            if split and split.lower() not in SPLITS:
                raise SourceError(
                    f"{where}: unknown split {split!r}; use train, validation (val, valid) or test"
                )
            yield _Row(path, label, SPLITS[split.lower()] if split else None)

    def _csv(self) -> Iterator[tuple[str, str, str]]:
        try:
            # utf-8-sig: spreadsheets begin their UTF-8 with a byte order mark.
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(self._lines(file), strict=True)
                self._check_columns(list(reader.fieldnames or ()))
                for row in reader:
                    path, label, split = ((row.get(column) or "").strip() for column in _COLUMNS)
                    yield path, label, split
        except UnicodeDecodeError:
            raise SourceError(f"{self.name} is not UTF-8 text; save it as UTF-8") from None
        except csv.Error as error:
            raise SourceError(f"{self.name} is not a valid CSV file: {error}; mend it") from None
        except OSError as error:
            raise SourceError(f"{self.name} cannot be read: {error.strerror}") from None

    def _lines(self, file: TextIO) -> Iterator[str]:
        """The lines, each a bounded part of the file, whatever it is."""
        while line := file.readline(_LINE + 1):
            if len(line) > _LINE:
                raise SourceError(
                    f"{self.name} has a line of more than {_LINE:,} letters; is it a CSV table?"
                )
            yield line

    def _parquet(self) -> Iterator[tuple[str, str, str]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            contents = _parquet.check(self._path, _COLUMNS)
            check_expansion(self.name, self._path.stat().st_size, contents.expanded)
            with pq.ParquetFile(self._path, read_dictionary=list(contents.texts)) as table:
                self._check_columns(table.schema_arrow.names)
                present = [name for name in _COLUMNS if name in table.schema_arrow.names]
                for batch in table.iter_batches(_BATCH_ROWS, columns=present):
                    for column in batch.columns:
                        self._check_texts(column)
                    columns = [batch.column(name).to_pylist() for name in present]
                    for values in zip(*columns, strict=True):
                        path, label, split = itertools.islice(
                            itertools.chain(map(_text, values), itertools.repeat("")), 3
                        )
                        yield path, label, split
        except (_parquet.UnreadableError, pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise SourceError(
                f"{self.name} is not a readable Parquet file ({error}); write it again"
            ) from None

    def _check_texts(self, column: Any) -> None:
        """Refuse long texts while each is held once; Parquet repeats one at no cost."""
        texts = getattr(column, "dictionary", column)
        if texts.nbytes > _LINE:
            longest = max((len(str(value)) for value in texts.to_pylist()), default=0)
            if longest > _TEXT:
                raise SourceError(
                    f"{self.name} has a text of {longest:,} letters; is it a table of pictures?"
                )

    def _check_columns(self, names: list[str]) -> None:
        for column in ("path", "label"):
            if names.count(column) == 1:
                continue
            if column in names:
                raise SourceError(f"{self.name} has two columns {column!r}; rename one")
            hint = "add it to the first line"
            if len(names) == 1 and ";" in names[0]:
                hint = "its columns seem to be separated by semicolons; save it with commas"
            elif len(names) == 1 and "\t" in names[0]:
                hint = "its columns seem to be separated by tabs; save it with commas"
            raise SourceError(
                f"{self.name} has no column {column!r} (it has: {', '.join(names) or 'none'}); "
                f"{hint}"
            )


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
