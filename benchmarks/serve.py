"""What the server answers at its capacity and at twice that, beside ONNX Runtime alone.

    python benchmarks/serve.py RUN [--pictures FOLDER] [--seconds 10] [-- OPTIONS]

The server and the load generator (benchmarks/load.py) are processes of their own, on the same
cores. At capacity, as many clients as the server works on at a time ask one picture a request, each
again as soon as it has its answer. At twice the capacity, requests leave by the clock at double
that rate, whatever becomes of them. ONNX Runtime alone is the run's model in a loop, one picture a
call, on one core, without HTTP or decoding.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import report
from tenfold.run import load_run
from tenfold.serving.app import Limits
from tenfold.serving.predictor import Predictor

_LOAD = Path(__file__).parent / "load.py"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--pictures", type=Path, help="a folder of them; default: noise as JPEG")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("options", nargs="*", help="for tenfold serve, after --")
    arguments = parser.parse_args()
    run = load_run(arguments.run)
    with tempfile.TemporaryDirectory() as folder:
        pictures = sorted(arguments.pictures.iterdir())[:64] if arguments.pictures else []
        size = Predictor(run.onnx_path).size
        pictures = pictures or noise(Path(folder), size)
        alone = onnxruntime_alone(run.onnx_path, arguments.seconds / 2)
        with Server(str(run.path), arguments.options) as server:
            clients = Limits().requests - 2  # none may be refused by a hair
            load(server.url, pictures, seconds=2, connections=clients)
            before = server.resident()
            full = load(server.url, pictures, seconds=arguments.seconds, connections=clients)
            twice = load(
                server.url,
                pictures,
                seconds=arguments.seconds,
                connections=500,
                rate=2 * full["answered_per_second"],
            )
            after = server.resident()
    rows = [
        ["ONNX Runtime alone", f"{alone['per_second']:,.0f}", "—", "—", *milliseconds(alone), "—"],
        ["at capacity", *row(full), f"{before / 1e6:,.0f}"],
        ["at twice the capacity", *row(twice), f"{after / 1e6:,.0f}"],
    ]
    titles = ["", "answered/s", "offered/s", "refused", "p50, ms", "p99, ms", "memory, MB"]
    kept = twice["answered_per_second"] / full["answered_per_second"]
    measured = {"alone": alone, "capacity": full, "twice": twice, "resident": [before, after]}
    markdown = report.table(titles, rows)
    report.save("serve", markdown, {**measured, "kept_at_twice": kept})


def row(found: dict[str, Any]) -> list[str]:
    """Cells of one load."""
    shares = f"{found['shed_share']:.1%}"
    rates = [f"{found[key]:,.0f}" for key in ("answered_per_second", "offered_per_second")]
    return [*rates, shares, *milliseconds(found)]


def milliseconds(found: dict[str, Any]) -> list[str]:
    """Cells of two latencies."""
    return [f"{found['p50_ms']:.1f}", f"{found['p99_ms']:.1f}"]


def onnxruntime_alone(path: Path, seconds: float) -> dict[str, float]:
    """One picture a call, on one core."""
    predictor = Predictor(path, threads=1)
    size = predictor.size
    pixels = np.random.default_rng(0).integers(0, 256, (64, 1, size, size, 3), np.uint8)
    predictor.predict(pixels[0])
    times: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        predictor.predict(pixels[len(times) % 64])
        times.append(time.perf_counter() - start)
    p50, p99 = (1000 * float(np.quantile(times, share)) for share in (0.5, 0.99))
    return {"per_second": len(times) / sum(times), "p50_ms": p50, "p99_ms": p99}


def noise(folder: Path, size: int) -> list[Path]:
    """Pictures of the size that the model takes, as JPEG."""
    random = np.random.default_rng(0)
    for number in range(64):
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")
    return sorted(folder.iterdir())


def load(url: str, pictures: list[Path], **options: float) -> dict[str, Any]:
    """Run the load generator."""
    command = [sys.executable, str(_LOAD), f"{url}/v1/predict", *map(str, pictures)]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
    return found


class Server:
    """``tenfold serve`` in a process of its own, which must stop as it should."""

    def __init__(self, run: str, options: list[str]) -> None:
        command = [sys.executable, "-m", "tenfold", "serve", run, "--port", "0", "--json", *options]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log)
        assert self.process.stdout is not None
        printed = b""
        for line in self.process.stdout:
            printed += line
            if line == b"}\n":
                break
        self.url: str = json.loads(printed)["url"]

    def resident(self) -> int:
        """Resident size in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0
        assert b'"event": "error"' not in self._read_log()
        self._log.close()

    def _read_log(self) -> bytes:
        self._log.seek(0)
        return self._log.read()


if __name__ == "__main__":
    main()
