"""Keeps what TensorFlow says while it is imported from those who asked for something else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_NOTES = (b"All log messages before absl::InitializeLog()", b"oneDNN custom operations are on")
"""Written by C++ before any setting of TensorFlow's is heeded, and nothing to act on."""


def quiet_tensorflow() -> None:
    """See to it that importing TensorFlow, whoever does it, writes no notes on standard error.

    What else is written there meanwhile follows when the import is over.
    """
    # Read by TensorFlow when it is imported; its errors still come through.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds TensorFlow, once, as all others would, and has it imported by `_QuietLoader`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        with _without_notes():
            self._loader.exec_module(module)


@contextmanager
def _without_notes() -> Iterator[None]:
    """Hold back what is written to standard error, by Python or by C, and hand on all but notes."""
    import tempfile

    with suppress(AttributeError, ValueError, OSError):
        sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # it is closed, and nobody hears anything
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            with suppress(AttributeError, ValueError, OSError):
                sys.stderr.flush()
            os.dup2(stderr, 2)
            held.seek(0)
            others = [line for line in held if not any(note in line for note in _NOTES)]
            with suppress(OSError):
                os.write(stderr, b"".join(others))
            os.close(stderr)
