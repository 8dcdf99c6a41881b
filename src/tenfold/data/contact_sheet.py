"""A contact sheet: rows of small pictures under their titles, as one PNG."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tenfold.files import atomic_path

# Lengths are in pixels of the PNG. At this resolution a character of the titles is CHARACTER wide.
_DPI = 100
_CELL = 64
_GAP = 4
_APART = 12
_MARGIN = 24
_TITLE = 22
_CHARACTER = 7
_LONGEST_TITLE = 60
_ROWS_PER_BLOCK = 25


@dataclass(frozen=True)
class Row:
    """One row of a sheet.

    Attributes:
        title: stands above the pictures; cut off with an ellipsis where it finds no room.
        cells: uint8 (h, w, 3) each, all of one size, as `cell` makes them.
        apart: how many of them, from the left, stand apart from the others.
    """

    title: str
    cells: Sequence[NDArray[np.uint8]]
    apart: int = 0


def cell(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring a picture (H, W, 3) to the size of a cell.

    A small picture grows by a whole factor, so that each of its pixels is one crisp square; one
    that is more than twice as large as a cell shrinks, so that a sheet's size stays bounded.
    """
    height, width = picture.shape[:2]
    longer = max(height, width)
    if longer > 2 * _CELL:
        shape = tuple(max(1, side * _CELL // longer) for side in (width, height))
        return np.asarray(Image.fromarray(picture).resize(shape, Image.Resampling.LANCZOS))
    factor = max(1, _CELL // longer)
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def save(path: Path, heading: str, rows: Sequence[Row]) -> Path:
    """Draw a sheet and write it, whole or not at all.

    Rows stand below each other; beyond 25 they go on in a further column of rows to the right.

    Args:
        path: of the PNG.
        heading: one line or several, above the rows.
        rows: at least one, each with at least one cell.

    Returns:
        The path.

    Raises:
        OutputError: the path cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cell_height, cell_width = rows[0].cells[0].shape[:2]
    step_x, step_y = cell_width + _GAP, cell_height + _TITLE
    blocks = math.ceil(len(rows) / _ROWS_PER_BLOCK)
    per_block = math.ceil(len(rows) / blocks)
    lines = heading.splitlines()
    row_width = max(
        max(len(row.cells) for row in rows) * step_x + _APART,
        max(len(line) for line in lines) * _CHARACTER // blocks,
        min(max(len(row.title) for row in rows), _LONGEST_TITLE) * _CHARACTER,
    )
    block_width = row_width + _MARGIN
    top = _MARGIN + len(lines) * _TITLE
    width, height = _MARGIN + blocks * block_width, top + per_block * step_y + _MARGIN

    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)

    def write(x: int, y: int, text: str, weight: str = "normal") -> None:
        """Write with the text's foot at y, counted from the top."""
        # A class may be called "$x$": names are not formulae.
        figure.text(
            x / width,
            1 - y / height,
            text,
            fontsize=9,
            fontweight=weight,
            verticalalignment="bottom",
            parse_math=False,
        )

    for number, line in enumerate(lines, start=1):
        write(_MARGIN, _MARGIN // 2 + number * _TITLE, line, "bold" if number == 1 else "normal")
    for number, row in enumerate(rows):
        block, place = divmod(number, per_block)
        x, y = _MARGIN + block * block_width, top + place * step_y
        write(x, y + _TITLE - _GAP // 2, _shorten(row.title, row_width // _CHARACTER))
        for column, pixels in enumerate(row.cells):
            # Matplotlib counts from the bottom, and figimage copies pixel by pixel.
            left = x + column * step_x + (_APART if column >= row.apart > 0 else 0)
            figure.figimage(pixels, left, height - y - step_y, origin="upper")

    with warnings.catch_warnings(), atomic_path(path) as temporary:
        # A name in a script that the font lacks is drawn as boxes; that is no one's mistake.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(temporary, format="png", dpi=_DPI)
    return path


def _shorten(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
