"""The ONNX file of a run, made where it is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tenfold.run import Run
from tenfold.serving.export.facts import Facts


def ensure_onnx(run: Run, announce: Callable[[str], None] | None = None) -> Path:
    """The path of a run's `model.onnx`, after making it from `model.keras` where there is none.

    A run that was made before there was one lacks it. An unfinished run's is made anew each time,
    because its training may have gone on since. Only making it imports TensorFlow.

    Args:
        run: of which.
        announce: told in one line that it is made, which takes seconds.

    Raises:
        RunError: the run has no model, or is damaged.
        OutputError: the run's folder takes no files.
    """
    if run.finished and run.onnx_path.is_file():
        return run.onnx_path
    path, facts = run.saved_model(), Facts.of(run)
    if announce is not None:
        why = ", once for all" if run.finished else ": the run is unfinished"
        announce(f"making {run.onnx_path} from {path.name}{why}")
    from tenfold.models.predict import load_network
    from tenfold.serving.export.onnx import write_onnx

    network = load_network(path, size=facts.size, classes=len(facts.class_names))
    write_onnx(network, facts, run.onnx_path)
    return run.onnx_path
