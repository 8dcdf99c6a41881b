"""A run: one training, and the folder that it leaves.

The folder alone says what was done: docs/runs.md describes each file. Whatever is written to it
appears whole or not at all, except `metrics.jsonl`, which grows by whole lines.

What checks the files takes long to import, and predictions need none of it; so it is imported where
it is used.
"""

from __future__ import annotations

import errno
import itertools
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.errors import OutputError, RecipeError, RunError
from tenfold.files import append_line, read_file, to_json, translate_output_errors
from tenfold.suggestions import did_you_mean, did_you_mean_path

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tenfold.recipe import Recipe

_JSON_BYTES = 32 << 20  # 200,000 lines of metrics, or a confusion matrix of 1,700 classes
_JSON_VALUES = 2_000_000

ROOT = Path("runs")
"""Where runs go, and are looked for, unless the user says otherwise."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder. Making this object touches nothing; use `create` or `load_run`.

    Attributes:
        path: the folder.
    """

    path: Path

    @classmethod
    def create(cls, out: Path | None, recipe_name: str, root: Path = ROOT) -> Run:
        """Make the folder of a new run, empty.

        Args:
            out: the folder to make; one that is there already must be empty. None: a folder under
                ``root`` named by the time and the recipe, with a number added where it is taken.
            recipe_name: any text; what a file name should not hold is replaced.
            root: where runs go by default.

        Raises:
            RunError: ``out`` holds a run, or anything else.
            OutputError: a file is in the way, or the place takes no folders.
        """
        return cls(_make_under(root, recipe_name) if out is None else _make_at(out))

    @property
    def recipe_path(self) -> Path:
        """The recipe in full. The first file to be written: it makes the folder a run."""
        return self.path / "recipe.toml"

    @property
    def repeat_path(self) -> Path:
        """The recipe that repeats a training with a time budget; others are without it."""
        return self.path / "repeat.toml"

    @property
    def source_path(self) -> Path:
        """The source as given, its kind and fingerprint, split sizes, and skipped pictures."""
        return self.path / "source.json"

    @property
    def environment_path(self) -> Path:
        """The machine, and the versions of everything that a result depends on."""
        return self.path / "environment.json"

    @property
    def preprocessing_path(self) -> Path:
        """What goes into the model and what comes out: size, normalization, class names."""
        return self.path / "preprocessing.json"

    @property
    def metrics_path(self) -> Path:
        """What was measured on the way, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard_path(self) -> Path:
        """The folder of event files that TensorBoard shows."""
        return self.path / "tensorboard"

    @property
    def checkpoints_path(self) -> Path:
        """The folder of what an unfinished training goes on from."""
        return self.path / "checkpoints"

    @property
    def model_path(self) -> Path:
        """The trained model, as Keras saves it."""
        return self.path / "model.keras"

    @property
    def calibration_path(self) -> Path:
        """The temperature that makes the model's probabilities honest, and how it was found."""
        return self.path / "calibration.json"

    @property
    def onnx_path(self) -> Path:
        """The model for predictions: uint8 pixels in, calibrated probabilities out."""
        return self.path / "model.onnx"

    @property
    def details_path(self) -> Path:
        """What the report shows beyond counts: reliability, mistakes and their pictures."""
        return self.path / "details.json"

    @property
    def confusion_path(self) -> Path:
        """The confusion matrix of the test as a picture."""
        return self.path / "confusion.png"

    @property
    def report_path(self) -> Path:
        """The report: one page for people, made from the other files."""
        return self.path / "report.html"

    @property
    def curves_path(self) -> Path:
        """The loss and accuracy curves as a picture."""
        return self.path / "curves.png"

    @property
    def result_path(self) -> Path:
        """The test result. The last file to be written: it makes the run finished."""
        return self.path / "result.json"

    @property
    def finished(self) -> bool:
        """Whether the training came to its end and was tested."""
        return self.result_path.is_file()

    @property
    def damage(self) -> str | None:
        """Why this folder cannot be read as a run, in one line; None where it can."""
        try:
            self.recipe()
            self.metrics()
            if self.finished:
                self.result()
        except RunError as error:
            return str(error)
        return None

    def recipe(self) -> Recipe:
        """The recipe that was trained.

        Raises:
            RunError: it is missing or damaged.
        """
        if not self.recipe_path.is_file():
            raise RunError(f"{self.path} is not a run: it holds no recipe.toml; check the path")
        from tenfold.recipe import load_recipe

        try:
            return load_recipe(self.recipe_path)
        except RecipeError as error:
            raise RunError(f"run {self.path} is damaged: {error}") from None

    def source(self) -> dict[str, Any]:
        """What `source_path` holds. Raises RunError where it is missing or damaged."""
        from tenfold.run_schema import SourceSchema

        return self._read_checked(self.source_path, SourceSchema)

    def environment(self) -> dict[str, Any]:
        """What `environment_path` holds. Raises RunError where it is missing or damaged."""
        from tenfold.run_schema import EnvironmentSchema

        return self._read_checked(self.environment_path, EnvironmentSchema)

    def preprocessing(self) -> dict[str, Any]:
        """What `preprocessing_path` holds. Raises RunError where it is missing or damaged."""
        from tenfold.run_schema import PreprocessingSchema

        return self._read_checked(self.preprocessing_path, PreprocessingSchema)

    def calibration(self) -> dict[str, Any] | None:
        """What `calibration_path` holds; None in a run that was made before there was one.

        Raises:
            RunError: it is damaged.
        """
        if not self.calibration_path.exists():
            return None
        from tenfold.run_schema import CalibrationSchema

        return self._read_checked(self.calibration_path, CalibrationSchema)

    def temperature(self) -> float:
        """What the model's logits are divided by; 1 where nothing was calibrated.

        Raises:
            RunError: `calibration_path` is damaged.
        """
        calibration = self.calibration()
        return 1.0 if calibration is None else float(calibration["temperature"])

    def result(self) -> dict[str, Any]:
        """What `result_path` holds; `tenfold.evaluation.load_result` gives it its type.

        Raises:
            RunError: the run is unfinished, or the file is damaged.
        """
        if not self.finished:
            raise RunError(f"run {self.path} is unfinished: it has no result.json; train it again")
        return self._read_object(self.result_path)

    def saved_model(self) -> Path:
        """The path of the trained model.

        Raises:
            RunError: the training ended before it saved one.
        """
        if not self.model_path.is_file():
            raise RunError(
                f"run {self.path} has no model.keras: train it again, or use another run"
            )
        return self.model_path

    def record(self, record: Mapping[str, Any]) -> None:
        """Append one record to `metrics_path`, readable at once; NaN is written as null.

        Raises:
            OutputError: the disk is full or takes no writes.
        """
        append_line(self.metrics_path, to_json(record))

    def metrics(self) -> list[dict[str, Any]]:
        """Every record, in the order of writing; empty before the first. NaN is NaN again.

        A last line that is torn, because the training was killed while writing it, is left out.

        Raises:
            RunError: any other line is damaged.
        """
        try:
            lines = _read_json(self.metrics_path).split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunError(f"{self.metrics_path} cannot be read: {error.strerror}") from None
        lines.pop()  # what follows the last newline: nothing in a whole file, else a torn line
        records = []
        for number, line in enumerate(lines, start=1):
            record = _parse_object(line)
            if record is None:
                raise RunError(
                    f"run {self.path} is damaged: line {number} of metrics.jsonl is not a JSON "
                    "object; remove that line"
                )
            records.append({k: math.nan if v is None else v for k, v in record.items()})
        return records

    def _read_checked(self, path: Path, schema: type[BaseModel]) -> dict[str, Any]:
        from pydantic import ValidationError

        value = self._read_object(path)
        try:
            schema.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise RunError(
                f"run {self.path} is damaged: {path.name}, {key}: {first['msg']}; train it again"
            ) from None
        return value

    def _read_object(self, path: Path) -> dict[str, Any]:
        try:
            content = _read_json(path)
        except OSError as error:
            raise RunError(
                f"run {self.path}: {path.name} cannot be read ({error.strerror}); train it again"
            ) from None
        value = _parse_object(content)
        if value is None:
            raise RunError(
                f"run {self.path} is damaged: {path.name} is not a JSON object; train it again"
            )
        return value


def load_run(path: str | Path, root: Path = ROOT) -> Run:
    """Find a run by its folder, and check that its recipe can be read; see `find_run`.

    Raises:
        RunError: there is no such folder, it is not a run, or there are no runs yet.
    """
    run = find_run(path, root)
    run.recipe()
    return run


def find_run(path: str | Path, root: Path = ROOT) -> Run:
    """Find a run by its folder; ``latest`` is the newest one under ``root``, finished or not.

    Nothing in the folder is read.

    Raises:
        RunError: there is no such folder, it holds no recipe, or there are no runs yet.
    """
    if str(path) == "latest":
        runs = [run for run in list_runs(root) if run.recipe_path.is_file()]
        if not runs:
            raise RunError(f"there are no runs in {root} yet; make one with: tenfold train")
        return runs[0]
    run = Run(Path(path))
    if not run.path.exists():
        raise RunError(
            f"no run at {path}{_did_you_mean(run.path, root)}; 'tenfold runs' lists those there are"
        )
    if not run.path.is_dir():
        raise RunError(f"{path} is a file, and a run is a folder; check the path")
    if not run.recipe_path.is_file():
        raise RunError(f"{run.path} is not a run: it holds no recipe.toml; check the path")
    return run


def list_runs(root: Path = ROOT) -> list[Run]:
    """The folders under ``root``, newest first; those that are no good say so in `Run.damage`."""
    if not root.is_dir():
        return []
    runs = [Run(path) for path in root.iterdir() if path.is_dir() and path.name[0] != "."]
    return sorted(runs, key=_age_key, reverse=True)


def _did_you_mean(path: Path, root: Path) -> str:
    """A hint at a run for a path where there is none: one under ``root``, or a folder alike."""
    names = ["latest", *(str(run.path) for run in list_runs(root))]
    under_root = {Path(name).name: name for name in names}
    if len(path.parts) == 1 and path.name in under_root:
        return f" (did you mean '{under_root[path.name]}'?)"
    alike = did_you_mean(str(path), names) or did_you_mean(str(root / path), names)
    return alike or did_you_mean_path(path, folders_only=True)


def _age_key(run: Run) -> tuple[int, str]:
    """When the run began: its recipe is written first and never again."""
    first = run.recipe_path if run.recipe_path.is_file() else run.path
    return first.stat().st_mtime_ns, run.path.name


def _make_under(root: Path, recipe_name: str) -> Path:
    words = re.sub(r"[^\w.-]+", "-", recipe_name).strip("-.")[:64] or "custom"
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{words}"
    with translate_output_errors(root / name):
        root.mkdir(parents=True, exist_ok=True)
        for count in itertools.count(1):
            path = root / (name if count == 1 else f"{name}-{count}")
            try:
                path.mkdir()  # fails where it exists, so two trainings never share a folder
            except FileExistsError:
                continue
            break
    return path


def _make_at(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise OutputError(f"cannot write {path}: a file of that name exists; choose another --out")
    with translate_output_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        occupied = any(path.iterdir())
    if Run(path).recipe_path.exists():
        raise RunError(f"{path} already holds a run; choose another --out")
    if occupied:
        raise RunError(f"{path} is not empty; choose another --out")
    return path


def _read_json(path: Path) -> bytes:
    """The content of a JSON file, where it is small enough to be read into memory as values.

    A list or an entry of two letters takes a hundred bytes once it is read, so both are counted.

    Raises:
        OSError: it cannot be read, is no regular file, or is too large; ``strerror`` says which.
    """
    content = read_file(path, _JSON_BYTES)
    if sum(map(content.count, (b"[", b"{", b":"))) > _JSON_VALUES:
        raise OSError(errno.EINVAL, f"it has more than {_JSON_VALUES:,} lists and entries")
    return content


def _parse_object(content: bytes) -> dict[str, Any] | None:
    try:
        # Decoded here, because json would guess at other encodings.
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
