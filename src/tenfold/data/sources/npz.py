"""Pictures and labels as arrays in an .npz file, never unpickled."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenfold.data.sources import _fingerprint
from tenfold.data.sources._layout import SPLITS, Place, SplitCheck
from tenfold.data.sources._limits import check_classes, check_picture
from tenfold.data.sources._npy import Header, read_headers, read_rows, unusable
from tenfold.data.sources.base import Picture, Source, SplitName
from tenfold.errors import SourceError

_LABEL_BYTES = 1 << 10  # the longest label text, in the array's own encoding
_FORMS: tuple[tuple[tuple[str, str, SplitName | None], ...], ...] = (
    (  # Keras
        ("x_train", "y_train", "train"),
        ("x_val", "y_val", "validation"),
        ("x_test", "y_test", "test"),
    ),
    (  # MedMNIST
        ("train_images", "train_labels", "train"),
        ("val_images", "val_labels", "validation"),
        ("test_images", "test_labels", "test"),
    ),
    (("images", "labels", None),),
)


@dataclass(frozen=True)
class _Part:
    """Arrays that belong together, checked to be of one length."""

    images: Header
    labels: Header
    split: SplitName | None
    splits: Header | None
    """The array with a split for each picture, if there is one."""


class NpzSource(Source):
    """Pictures of an ``.npz`` file: ``images`` and ``labels``, or the arrays of Keras or MedMNIST.

    Pictures are uint8, or floats in [0, 1], of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3);
    labels are numbers or text of shape (N,) or (N, 1). ``class_names``, if present, gives the
    names of labels 0, 1, ...; ``split``, next to ``images``, the split of each picture.

    Raises:
        SourceError: when made: the file is damaged, or its arrays are not as above.
    """

    kind = "npz"

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        headers = read_headers(path)
        self._parts = self._find_parts(headers)
        self._names = self._read_names(headers)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The file's ``class_names``; else numbers in numeric order; None for labels of text."""
        return tuple(self._names.values()) if self._names else None

    @property
    def native_size(self) -> int | None:
        """The side, if all pictures are the same square."""
        sides = {side for part in self._parts for side in part.images.shape[1:3]}
        return sides.pop() if len(sides) == 1 else None

    @property
    def expected_count(self) -> int:
        """As the headers have it."""
        return sum(part.images.shape[0] for part in self._parts)

    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        return _fingerprint.of_file(self.kind, self._path)

    def pictures(self) -> Iterator[Picture]:
        """Every picture as uint8 pixels of shape (H, W) or (H, W, 3), split by split."""
        check = SplitCheck(self.name)
        for part in self._parts:
            rows = zip(
                self._images(part.images), self._labels(part.labels), self._splits(part),
                strict=False,  # the same split is repeated without end
            )  # fmt: skip
            for index, (image, label, split) in enumerate(rows):
                check.add(Place(split, label))
                yield Picture(f"{part.images.name}[{index}]", label, split, image)
        check.finish()

    def _images(self, header: Header) -> Iterator[NDArray[np.uint8]]:
        for block in read_rows(self._path, header):
            pixels = block
            if header.dtype != np.uint8:
                if not (block.min() >= 0 and block.max() <= 1):  # NaN is neither
                    raise unusable(
                        self._path, header.name, "has floats beyond [0, 1]; scale or save as uint8"
                    )
                pixels = np.rint(block * 255).astype(np.uint8)
            yield from (pixels[..., 0] if pixels.shape[3:] == (1,) else pixels)

    def _labels(self, header: Header) -> Iterator[str]:
        for value in self._values(header):
            label = self._names[value] if isinstance(value, int) else value
            if not label:
                raise unusable(self._path, header.name, "has an empty label; fill it in")
            yield label

    def _splits(self, part: _Part) -> Iterator[SplitName | None]:
        if part.splits is None:
            yield from itertools.repeat(part.split)
            return
        for value in self._values(part.splits):
            split = SPLITS.get(str(value).lower())
            if split is None:
                raise unusable(
                    self._path,
                    part.splits.name,
                    f"has {value!r}; use train, validation (val, valid) or test",
                )
            yield split

    def _values(self, header: Header) -> Iterator[int | str]:
        """The entries of an array of numbers or text."""
        for block in read_rows(self._path, header):
            if block.dtype.kind == "U" and not _is_text(block):
                raise unusable(self._path, header.name, "holds what is no text; save it again")
            for value in block.reshape(-1).tolist():
                if isinstance(value, bytes):
                    yield value.decode("utf-8", "replace").strip()
                else:
                    yield value.strip() if isinstance(value, str) else value

    def _find_parts(self, headers: dict[str, Header]) -> list[_Part]:
        for form in _FORMS:
            if not any(name in headers for images, labels, _ in form for name in (images, labels)):
                continue
            parts = []
            for images, labels, split in form:
                if images in headers and labels in headers:
                    splits = headers.get("split") if split is None else None
                    part = _Part(headers[images], headers[labels], split, splits)
                    self._check_part(part)
                    parts.append(part)
                elif images in headers or labels in headers:
                    lacking = labels if images in headers else images
                    raise SourceError(f"{self.name} has no array {lacking!r}; add it")
            return parts
        raise SourceError(
            f"{self.name} has arrays {', '.join(sorted(headers)) or '(none)'}; expected images and "
            "labels, or x_train and y_train, or train_images and train_labels"
        )

    def _check_part(self, part: _Part) -> None:
        images = part.images
        if len(images.shape) not in (3, 4) or images.shape[3:] not in ((), (1,), (3,)):
            raise unusable(
                self._path,
                images.name,
                f"has shape {images.shape}; expected (N, H, W), (N, H, W, 1) or (N, H, W, 3), "
                "channels last and without alpha",
            )
        if images.dtype != np.uint8 and images.dtype.kind != "f":
            raise unusable(
                self._path,
                images.name,
                f"is of {images.dtype}; expected uint8, or floats in [0, 1]",
            )
        if 0 in images.shape:
            raise unusable(self._path, images.name, "holds no pictures; fill it, or remove it")
        check_picture(self.name, images.name, images.row_bytes)
        count = images.shape[0]
        for header in filter(None, (part.labels, part.splits)):
            if header.shape not in ((count,), (count, 1)):
                raise unusable(
                    self._path,
                    header.name,
                    f"has shape {header.shape}; expected ({count},), one for each picture",
                )
            if header.dtype.kind not in "iuUS" or header.row_bytes > _LABEL_BYTES:
                raise unusable(
                    self._path, header.name, f"is of {header.dtype}; expected numbers or text"
                )

    def _read_names(self, headers: dict[str, Header]) -> dict[int, str]:
        """The class of each label that is a number, in label order; empty for labels of text."""
        numbers: set[int] = set()
        for part in self._parts:
            if part.labels.dtype.kind in "iu":
                for block in read_rows(self._path, part.labels):
                    numbers.update(np.unique(block).tolist())
                    check_classes(self.name, len(numbers))
        header = headers.get("class_names")
        if header is None or not numbers:
            return {number: str(number) for number in sorted(numbers)}
        if len(header.shape) != 1 or header.dtype.kind not in "US":
            raise unusable(self._path, header.name, "is not a list of text; save one")
        check_classes(self.name, header.shape[0])
        check_picture(self.name, header.name, header.shape[0] * header.row_bytes)
        names = dict(enumerate(map(str, self._values(header))))
        if not numbers <= names.keys() or len(set(names.values())) != len(names):
            raise SourceError(
                f"{self.name}: labels go from {min(numbers)} to {max(numbers)}, and class_names "
                f"has {len(set(names.values()))} different names; give one for each label from 0"
            )
        return names


def _is_text(block: NDArray[np.str_]) -> bool:
    """Whether every character is one of Unicode's; Python makes no text of others."""
    codes = block.astype(block.dtype.newbyteorder("=")).view(np.uint32)
    return bool(((codes < 0xD800) | ((codes > 0xDFFF) & (codes <= 0x10FFFF))).all())
