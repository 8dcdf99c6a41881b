"""One way to write each format: to a path aside, checked there, then moved to its place."""

from __future__ import annotations

import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tenfold import machine
from tenfold.errors import OutputError, RunError
from tenfold.files import atomic_path, translate_output_errors
from tenfold.run import Run
from tenfold.serving import onnx_file
from tenfold.serving.export.check import Check, Predict
from tenfold.serving.export.facts import FACTS_FILE, FORMAT, Facts

if TYPE_CHECKING:
    import keras

Format = Literal["onnx", "litert", "savedmodel"]
FORMATS: tuple[Format, ...] = get_args(Format)

_NAMES = {"onnx": "model.onnx", "litert": "model.tflite", "savedmodel": "savedmodel"}
_INT8_NAME = "model-int8.tflite"


def default_path(run: Run, format_: Format, *, int8: bool = False) -> Path:
    """Where an export of a run lies unless the user says otherwise: in the run's folder."""
    return run.path / (_INT8_NAME if int8 else _NAMES[format_])


def write_checked(
    network: keras.Model,
    facts: Facts,
    format_: Format,
    path: Path,
    *,
    representative: Iterable[NDArray[np.uint8]] | None,
    check: Callable[[Predict, int], Check],
) -> Check:
    """Export a network; what is at ``path`` already stays there until the new export is checked.

    Args:
        network: from `tenfold.models.build_network`, trained.
        facts: what becomes part of the graph, and what is said of it.
        format_: which.
        path: of the file, or of the folder for a SavedModel.
        representative: for int8, see `tenfold.serving.export.litert`; None: float32.
        check: given what the export computes and its bytes, compares it with the network.

    Raises:
        OutputError: the place takes no files, or holds something that is no such export.
        RunError: a float32 export differs from the network by more than is tolerated.
    """
    refuse_foreign(path, format_)
    with (_atomic_folder if format_ == "savedmodel" else atomic_path)(path) as temporary:
        predict = _write(network, facts, format_, temporary, representative)
        checked = check(predict, size_of(temporary))
        if representative is None and not checked.largest_difference <= checked.tolerance:
            raise RunError(
                f"the export to {format_} differs from the model by up to "
                f"{checked.largest_difference:.2g} in a probability, more than "
                f"{checked.tolerance:.2g}; nothing was written, please report this"
            )
    return checked


def refuse_foreign(path: Path, format_: Format) -> None:
    """Refuse a path that holds anything but an earlier export to the same format.

    Raises:
        OutputError: it does.
    """
    if not path.exists() and not path.is_symlink():
        return
    kind = {"onnx": _is_onnx, "litert": _is_litert, "savedmodel": _is_savedmodel}[format_]
    try:
        ours = kind(path)
    except (OSError, ValueError, zipfile.BadZipFile):
        ours = False
    if not ours:
        raise OutputError(
            f"cannot write {path}: what is there is no {format_} export of Tenfold; "
            "move it away, or choose another --out"
        )


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files)


def _write(
    network: keras.Model,
    facts: Facts,
    format_: Format,
    path: Path,
    representative: Iterable[NDArray[np.uint8]] | None,
) -> Predict:
    """Write an export; what it computes, by the runtime that it is made for."""
    if format_ == "onnx":
        from tenfold.serving.export.onnx import write_onnx
        from tenfold.serving.predictor import Predictor

        write_onnx(network, facts, path)
        return Predictor(path).predict
    if format_ == "litert":
        from tenfold.serving.export.litert import load_litert, write_litert

        write_litert(network, facts, path, representative=representative)
        return load_litert(path, threads=machine.usable_cores())
    from tenfold.serving.export.savedmodel import load_savedmodel, write_savedmodel

    write_savedmodel(network, facts, path)
    return load_savedmodel(path)


def _is_onnx(path: Path) -> bool:
    return path.is_file() and onnx_file.metadata(path.read_bytes()).get("format") == FORMAT


def _is_litert(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return FACTS_FILE in archive.namelist()


def _is_savedmodel(path: Path) -> bool:
    known = {"saved_model.pb", "fingerprint.pb", "variables", "assets"}
    return (path / "assets" / FACTS_FILE).is_file() and {p.name for p in path.iterdir()} <= known


@contextmanager
def _atomic_folder(path: Path) -> Iterator[Path]:
    """The same as `tenfold.files.atomic_path` for a folder."""
    token = secrets.token_hex(4)
    temporary = path.with_name(f".{path.name}.{token}")
    old = path.with_name(f".{path.name}.{token}.old")
    with translate_output_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            if path.exists():
                path.replace(old)
            try:
                temporary.replace(path)
            except BaseException:
                if old.exists():
                    old.replace(path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            with suppress(OSError):
                shutil.rmtree(temporary)
            raise
