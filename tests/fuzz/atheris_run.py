"""Fuzz one parser, guided by which lines of Tenfold its inputs reach.

    pip install '.[fuzz]'
    python tests/fuzz/atheris_run.py PARSER... [--seconds 60]

Inputs come from the campaign's seeds, changed by its own mutations, which know the format, and by
libFuzzer's, which do not; those that reach new lines are kept and changed further. An exception
that is not a refusal, more than 10 s of processor time and more than 2 GB are defects: what led to
one is kept in ``build/fuzz``, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)

PARSERS = (
    "tar", "zip", "cifar pickle", "npz", "npy", "png", "jpeg", "parquet", "recipe", "run folder",
    "checkpoint", "model.onnx", "request",
)  # fmt: skip
"""Readers of the campaign; ``npy`` is the only array of an ``npz``."""


SLOW = 10.0
"""The most processor time that one input may take, seconds; what does not end is stopped later."""


def main() -> int:
    """Fuzz each parser in a process of its own, for libFuzzer does not come back."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parsers", nargs="*", metavar="PARSER", help=", ".join(PARSERS))
    parser.add_argument("--seconds", type=int, default=60, help="for each")
    parser.add_argument("--kept", type=Path, default=Path("build/fuzz"), help="for reproducers")
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.parsers) - set(PARSERS):
        parser.error(f"no parser {unknown.pop()!r}; there are {', '.join(PARSERS)}")
    if options.inside:
        fuzz(options.parsers[0], Path(options.inside[0]), options.inside[1:], options.seconds)
    options.kept.mkdir(parents=True, exist_ok=True)
    print("| parser | inputs | a second | lines and branches reached | by the seeds | defects |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    defects = [run(name, options.seconds, options.kept) for name in options.parsers or PARSERS]
    return 1 if any(defects) else 0


def run(name: str, seconds: int, kept: Path) -> bool:
    """Fuzz one parser, and print its line of the table; whether it has a defect."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    # In memory: a disk that others write to keeps an input waiting for as long as a hang would.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        prefix = f"{kept.resolve()}/{name.replace(' ', '-')}-"
        process = subprocess.run(
            [sys.executable, __file__, name, "--seconds", str(seconds), "--inside", folder, prefix],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "HOME": folder},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    said = process.stderr
    reached = re.findall(r"^#\d+\s+\w+\s+cov: (\d+)", said, re.MULTILINE)
    started = re.search(r"^#\d+\s+INITED cov: (\d+)", said, re.MULTILINE)
    counts = dict(re.findall(r"^stat::(\w+):\s+(\d+)", said, re.MULTILINE))
    if not reached or started is None:
        print(process.stdout, said, sep="\n", file=sys.stderr)
        raise RuntimeError(f"{name}: it did not begin")
    print(
        f"| {name} | {int(counts.get('number_of_executed_units', 0)):,} "
        f"| {int(counts.get('average_exec_per_sec', 0)):,} | {int(reached[-1]):,} "
        f"| {int(started[1]):,} | {int(process.returncode != 0)} |",
        flush=True,
    )
    if process.returncode:
        print(process.stdout[-3000:], said[-3000:], sep="\n", file=sys.stderr)
    return process.returncode != 0


def fuzz(name: str, folder: Path, prefix: list[str], seconds: int) -> None:
    """Fuzz a parser until the time is over or a defect is found; does not return."""
    import atheris

    with atheris.instrument_imports(include=["tenfold"]):
        read, mutate, seeds = target(name, folder)
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)

    def change(data: bytes, largest: int, seed: int) -> bytes:
        if seed % 2 == 0:
            try:
                return mutate(Random(seed), data)[:largest]
            except Exception:  # the format's own mutation expects the format
                pass
        return bytes(atheris.Mutate(data, largest))

    def timed(data: bytes) -> None:
        began = time.process_time()  # by the clock, a busy machine would look like a hang
        read(data)
        if (used := time.process_time() - began) > SLOW:
            raise RuntimeError(f"{used:.0f} s for one input")

    arguments = [
        sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-artifact_prefix={prefix[0]}",
        "-timeout=600", "-rss_limit_mb=2048", "-max_len=200000", "-print_final_stats=1", "-seed=1",
    ]  # fmt: skip
    atheris.Setup(arguments, timed, custom_mutator=change)
    atheris.Fuzz()


def target(
    name: str, folder: Path
) -> tuple[Callable[[bytes], None], Callable[[Random, bytes], bytes], list[bytes]]:
    """What reads an input, what changes one, and good ones.

    An input is a byte that says by which name the file goes, and the file.
    """
    from tests.fuzz.reader import File
    from tests.fuzz.readers import READERS

    from tenfold.data.decode import DecodeError
    from tenfold.errors import TenfoldError

    reader = READERS["npz" if name == "npy" else name]
    seeds = reader.seeds()
    reader.prepare(folder)
    if name == "npy":
        return _array_target(folder)
    names = sorted({seed.name for seed in seeds})
    for seed in seeds:  # imports all that reading needs
        reader.read(seed, folder)

    def read(data: bytes) -> None:
        if data:
            with suppress(TenfoldError, DecodeError):
                reader.read(File(names[data[0] % len(names)], data[1:]), folder)

    def mutate(rng: Random, data: bytes) -> bytes:
        changed = reader.mutate(rng, [File(names[data[0] % len(names)], data[1:])])
        return bytes([names.index(changed.name)]) + changed.content

    return read, mutate, [bytes([names.index(seed.name)]) + seed.content for seed in seeds]


def _array_target(
    folder: Path,
) -> tuple[Callable[[bytes], None], Callable[[Random, bytes], bytes], list[bytes]]:
    import io
    import zipfile

    import numpy as np
    from tests.fuzz.mutation import damaged

    from tenfold.data.sources import _npy
    from tenfold.errors import TenfoldError

    path = folder / "a.npz"

    def read(data: bytes) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", data)
        try:
            for header in _npy.read_headers(path).values():
                if header.shape:
                    for _ in _npy.read_rows(path, header):
                        pass
        except TenfoldError:
            pass

    seeds = []
    for array in (np.zeros((2, 3), np.uint8), np.array(["a", "bc"]), np.float32(1)):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.asarray(array))
        seeds.append(buffer.getvalue())
        read(seeds[-1])
    return read, lambda rng, data: damaged(rng, data, seeds), seeds


if __name__ == "__main__":
    sys.exit(main())
