"""How fast predictions come: the first one, and a stream of them beside ONNX Runtime alone.

    python benchmarks/predict.py [RUN] [SOURCE] [--pictures 10000] [--repeat 5]

The first answer is that of a fresh process, from its start to its end. Streams are ``tenfold
predict --csv`` on a folder, a tar and a zip of the same pictures, writing to a file; they are timed
from the call of the command, so that loading the model, reading, decoding and writing count. Two
plain loops stand beside them. One runs the same model on pictures that lie decoded in memory, in
the best of several batch sizes and numbers of threads, all tried first; it reads and writes
nothing, and is called 100%. The other reads and decodes each picture with Pillow, in the same batch
size. Each measurement is a process of its own, all kinds take turns, and figures are medians.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import report
from tenfold import machine
from tenfold.data.sources._layout import is_picture
from tenfold.data.sources.archive import members
from tenfold.serving.inputs import find, read_file
from tenfold.serving.predictor import Predictor

_BATCHES = (8, 16, 32, 64, 128, 256)
_FIRST = 12
"""Fresh processes that the first answer is the median of."""
_FORMS = {"folder": "pictures", "tar": "pictures.tar", "zip": "pictures.zip"}


def main() -> None:
    """Lay out the pictures, let all kinds take turns, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", nargs="?", default="latest")
    parser.add_argument("source", nargs="?", default=str(report.PICTURES))
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        task = json.loads(arguments.child)
        print(json.dumps(TASKS[task.pop("kind")](**task)))
        return
    from tenfold.api import load_run

    model = str(load_run(arguments.run).ensure_onnx().resolve())
    run = str(Path(model).parent)
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder) / "few", Path(folder) / "many"
        lay_out(Path(arguments.source), few, arguments.pictures // 10)
        count = lay_out(Path(arguments.source), many, arguments.pictures)
        pictures = str(many / _FORMS["folder"])
        best = child(kind="best", model=model, pictures=pictures)
        settings = {"batch": best["batch"], "threads": best["threads"]}
        tasks: dict[str, dict[str, Any]] = {
            "loop": {"kind": "loop", "model": model, "pictures": pictures, **settings},
            **{
                form: {"kind": "stream", "run": run, "path": str(many / name)}
                for form, name in _FORMS.items()
            },
            "pillow": {"kind": "pillow", "model": model, "pictures": pictures, **settings},
        }
        measured: dict[str, list[dict[str, float]]] = {name: [] for name in tasks}
        for _ in range(arguments.repeat):
            for name, task in tasks.items():
                measured[name].append(child(**task))
        first = [first_answer(run, next((many / "pictures").rglob("*.jpg"))) for _ in range(_FIRST)]
        memory = {
            form: child(kind="stream", run=run, path=str(few / name))["memory"]
            for form, name in _FORMS.items()
        }
    medians = {
        name: {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        for name, runs in measured.items()
    }
    own = medians["loop"]["seconds"]
    titles = {
        "loop": f"ONNX Runtime, pictures decoded in memory, batches of {settings['batch']}, "
        f"{settings['threads']} threads",
        "folder": "`tenfold predict` on a folder",
        "tar": "`tenfold predict` on a `.tar`",
        "zip": "`tenfold predict` on a `.zip`",
        "pillow": "ONNX Runtime, reading and decoding with Pillow in the loop",
    }
    rows = [
        [
            title,
            f"{count / medians[name]['seconds']:,.0f}",
            f"{own / medians[name]['seconds']:.0%}",
            f"{medians[name]['cpu_seconds'] / count * 1e6:,.0f}",
            f"{medians[name]['memory'] / 1e6:,.0f}",
            f"{memory[name] / 1e6:,.0f}" if name in memory else "",
        ]
        for name, title in titles.items()
    ]
    columns = [
        f"{count:,} pictures",
        "pictures/s",
        "of ONNX Runtime's speed",
        "processor time, µs a picture",
        "peak memory, MB",
        f"at {count // 10:,} pictures, MB",
    ]
    note = (
        f"\nThe first answer of a fresh process: {1000 * statistics.median(first):.0f} ms "
        f"(median of {len(first)}, {1000 * min(first):.0f} to {1000 * max(first):.0f}).\n"
    )
    results = {"best": best, "streams": measured, "first_answer_seconds": first, "memory": memory}
    report.save("predict", report.table(columns, rows) + note, results)


def lay_out(source: Path, folder: Path, count: int) -> int:
    """Write pictures of an archive as a tree, a tar and a zip; how many there were."""
    written = 0
    (folder / _FORMS["folder"]).mkdir(parents=True)
    with (
        tarfile.open(folder / _FORMS["tar"], "w") as tar,
        zipfile.ZipFile(folder / _FORMS["zip"], "w") as zipped,
    ):
        pictures = (member for member in members(source) if is_picture(member.path))
        for member in islice(pictures, count):
            content = member.read()
            path = folder / _FORMS["folder"] / member.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            info = tarfile.TarInfo(member.path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            zipped.writestr(member.path, content)
            written += 1
    return written


def first_answer(run: str, picture: Path) -> float:
    """Seconds from the start of a process that predicts one picture to its end."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tenfold", "predict", run, str(picture)],
        check=True,
        stdout=subprocess.PIPE,
    )
    return time.perf_counter() - began


def child(**task: Any) -> dict[str, Any]:
    """Do one of `TASKS` in a process of its own."""
    command = [sys.executable, __file__, "--child", json.dumps(task)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def stream(run: str, path: str) -> dict[str, float]:
    """Predict a folder or archive as the command line does, into a file."""
    from tenfold.cli._predicting import predict

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.csv"
        figures = timed(lambda: predict(run, [path], top=3, json=False, csv=True, out=out))
        assert out.read_bytes().count(b"\n") > 1
    return figures


def loop(model: str, pictures: str, batch: int, threads: int) -> dict[str, float]:
    """Run the model on pictures that lie decoded in memory."""
    session, pixels = open_session(model, threads), decoded(model, pictures)
    session.run(None, {"pixels": pixels[:batch]})
    return timed(lambda: run_all(session, pixels, batch))


def pillow(model: str, pictures: str, batch: int, threads: int) -> dict[str, float]:
    """Run the model on pictures that are read and decoded with Pillow on the way."""
    from PIL import Image

    session = open_session(model, threads)
    paths = sorted(Path(pictures).rglob("*.jpg"))

    def predict() -> None:
        for at in range(0, len(paths), batch):
            arrays = [
                np.asarray(Image.open(path).convert("RGB")) for path in paths[at : at + batch]
            ]
            session.run(None, {"pixels": np.stack(arrays)})

    return timed(predict)


def best(model: str, pictures: str) -> dict[str, Any]:
    """The batch size and number of threads that are fastest for a plain loop."""
    pixels = decoded(model, pictures)[:2048]
    tried = []
    for threads in sorted({1, machine.usable_cores()}):
        session = open_session(model, threads)
        for batch in _BATCHES:
            run_all(session, pixels[: 2 * batch], batch)
            seconds = min(timed(lambda: run_all(session, pixels, batch))["seconds"] for _ in "abc")  # noqa: B023
            tried.append({"batch": batch, "threads": threads, "seconds": seconds})
    return {**min(tried, key=lambda one: one["seconds"]), "tried": tried}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "stream": stream,
    "loop": loop,
    "pillow": pillow,
    "best": best,
}


def open_session(model: str, threads: int) -> Any:
    """ONNX Runtime as it is, but for the number of threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def decoded(model: str, pictures: str) -> np.ndarray:
    """Every picture of a folder, in memory."""
    from tenfold.data.decode import decode

    size = Predictor(Path(model)).size
    return np.stack([decode(read_file(one.name), size) for one in find([pictures])])


def run_all(session: Any, pixels: np.ndarray, batch: int) -> None:
    """The plain loop."""
    for at in range(0, len(pixels), batch):
        session.run(None, {"pixels": pixels[at : at + batch]})


def timed(work: Callable[[], None]) -> dict[str, float]:
    """Seconds on the clock and of the processor, and the process's largest size in bytes."""
    began, cpu = time.perf_counter(), os.times()
    work()
    seconds, after = time.perf_counter() - began, os.times()
    return {
        "seconds": seconds,
        "cpu_seconds": after.user + after.system - cpu.user - cpu.system,
        "memory": machine.peak_memory(),
    }


if __name__ == "__main__":
    main()
