"""Kills trainings with SIGKILL at random instants, resumes them, and compares what they end in.

    python tests/faults/kill.py [--kills 200] [--recipes NAME...] [--precisions float32 bf16]

The shipped recipes have their turns, of the stronger networks one, in float32 and in bf16. A third
of the kills strike at any time of the process, a third while it trains, and a third inside the
write of a checkpoint, after a random one of the pieces that it is written in. Each training is then
resumed and finished; its weights and its metrics, but for the figures that are times, must be those
of a training that nobody killed, to the bit. Leaves with 0 where all of them are.

TensorFlow is imported once, and each training is a fork of that process, made before TensorFlow
starts any thread: so a kill costs seconds.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import io
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROWS, EPOCHS, BATCH = 160, 6, 32
OVERRIDES = (
    *(f"data.rows={ROWS}", "data.test_rows=60"),
    *(f"training.epochs={EPOCHS}", f"training.batch_size={BATCH}"),
)
STEPS = EPOCHS * ROWS // BATCH
EVERY = 2
RECIPES = ["digits", "lab-1", "lab-1-original", "lab-2", "lab-2-original", "fast", "resnet-20"]
OWN_OVERRIDES = {"fast": ["data.size=12"]}  # its network takes no digits of 8x8
TIMES = ("images_per_second", "seconds")
"""The figures of metrics.jsonl that are times."""


def main() -> int:
    """Kill as often as asked, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--precisions", nargs="+", default=["float32", "bf16"])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    import_everything()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("TENFOLD_CACHE", str(Path(folder) / "cache"))
        return Harness(Path(folder), arguments).run()


def import_everything() -> None:
    """What a training imports; nothing is computed, so that no thread is there when it forks."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    import tenfold.api
    import tenfold.training.fit
    import tenfold.training.recorder
    import tenfold.training.tensorboard  # noqa: F401


class Harness:
    """The kills, one after the other."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.kills: int = arguments.kills
        self.kinds = list(itertools.product(arguments.recipes, arguments.precisions))
        self.random = random.Random(arguments.seed)
        self.struck: collections.Counter[str] = collections.Counter()
        self.expected: dict[tuple[str, str], list[str]] = {}
        self.usual: dict[tuple[str, str], float] = {}

    def run(self) -> int:
        """Returns the exit code."""
        began = time.monotonic()
        same = done = 0
        for attempt in itertools.count():
            # Prime to each other, or nearly: each recipe sees each kind of kill.
            kind = self.kinds[attempt % len(self.kinds)]
            if kind not in self.expected and not self.refer(kind):
                return 1
            out = self.folder / "run"
            where = self.kill(out, kind, attempt // len(self.kinds) + attempt)
            if where is not None:  # else it was quicker than the kill
                self.struck[where] += 1
                done += 1
                code = wait(fork(lambda: self.go_on(out, kind), self.log))  # noqa: B023
                ended = outcome(out) if code == 0 else [f"exit code {code}", self.log.read_text()]
                same += ended == self.expected[kind]
                word = difference(ended, self.expected[kind]) or "same bits"
                print(f"{done:4} of {self.kills}: {' '.join(kind)} killed {where}; {word}")
                sys.stdout.flush()
            shutil.rmtree(out, ignore_errors=True)
            if done == self.kills:
                break
        places = ", ".join(f"{count} {where}" for where, count in sorted(self.struck.items()))
        minutes = (time.monotonic() - began) / 60
        print(f"{same} of {done} ended in the same bits; killed {places}; {minutes:.0f} minutes")
        return 0 if same == done else 1

    def refer(self, kind: tuple[str, str]) -> bool:
        """Train without a kill, to compare with; whether that went well."""
        out = self.folder / "-".join(kind)
        began = time.monotonic()
        if wait(fork(lambda: self.train(out, kind), self.log)):
            print(self.log.read_text(), file=sys.stderr)
            return False
        self.usual[kind] = time.monotonic() - began
        self.expected[kind] = outcome(out)
        shutil.rmtree(out)
        return True

    def kill(self, out: Path, kind: tuple[str, str], way: int) -> str | None:
        """Start a training and kill it; where it was, or None where it ended before."""
        if way % 3 == 2:
            number = self.random.randrange(STEPS // EVERY)
            piece = self.random.randrange(12)
            child = fork(lambda: self.train(out, kind, fatal_piece(number, piece)), self.log)
            return "inside a checkpoint's write" if wait(child) == -signal.SIGKILL else None
        child = fork(lambda: self.train(out, kind), self.log)
        if way % 3 == 1:
            while not any(out.glob("checkpoints/*")) and is_running(child):
                time.sleep(0.002)
            time.sleep(self.random.uniform(0, 0.4 * self.usual[kind]))
        else:
            time.sleep(self.random.uniform(0, self.usual[kind]))
        if is_running(child):
            os.kill(child, signal.SIGKILL)
        killed = wait(child) == -signal.SIGKILL and not (out / "result.json").exists()
        return place(out) if killed else None

    def train(
        self, out: Path, kind: tuple[str, str], fault: Callable[[], None] = lambda: None
    ) -> None:
        """What a killed process does."""
        import tenfold
        from tenfold.training.keeper import CheckpointInterval

        fault()
        recipe, precision = kind
        every = CheckpointInterval(seconds=None, steps=EVERY)
        own = [f"training.precision={precision}", *OWN_OVERRIDES.get(recipe, ())]
        overrides = [*OVERRIDES, *own]
        tenfold.train("digits", recipe, overrides=overrides, out=out, checkpoints=every)

    def go_on(self, out: Path, kind: tuple[str, str]) -> None:
        """What a user does: resume it, or start it again where it was no run yet."""
        import tenfold

        if (out / "source.json").exists():
            tenfold.resume(out)
        else:
            shutil.rmtree(out, ignore_errors=True)
            self.train(out, kind)


def fatal_piece(number: int, piece: int) -> Callable[[], None]:
    """Makes a process kill itself inside the write of its checkpoint of that number."""

    def install() -> None:
        from tenfold.training import checkpoint

        write, put = checkpoint.write_checkpoint, checkpoint._put
        seen = {"checkpoint": -1, "piece": 0}

        def counted_put(file: Any, content: Any) -> None:
            if seen["checkpoint"] == number and seen["piece"] == piece:
                content = memoryview(content)
                put(file, content[: len(content) // 2])
                file.flush()  # what a kernel would have of it
                os.kill(os.getpid(), signal.SIGKILL)
            seen["piece"] += 1
            put(file, content)

        def counted_write(path: Path, written: Any) -> None:
            seen["checkpoint"] += 1
            seen["piece"] = 0
            write(path, written)

        from tenfold.training import keeper

        checkpoint._put = counted_put
        keeper.write_checkpoint = counted_write

    return install


def place(out: Path) -> str:
    """What a training was at when it was killed, by the files that it had made."""
    if any(out.glob("checkpoints/.*")):
        return "inside a checkpoint's write"
    if (out / "model.keras").exists():
        return "after the training"
    if any(out.glob("checkpoints/*")):
        return "while training"
    return "before the first checkpoint"


def outcome(out: Path) -> list[str]:
    """A digest of the weights, the metrics without the figures that are times, and the files."""
    import h5py

    weights = hashlib.sha256()

    def add(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            weights.update(name.encode() + item[()].tobytes())

    with zipfile.ZipFile(out / "model.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(add)
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    lasting = [{k: v for k, v in record.items() if k not in TIMES} for record in records]
    files = sorted(path.name for path in out.iterdir())
    return [f"weights {weights.hexdigest()}", *map(str, lasting), f"files {files}"]


def difference(ended: list[str], expected: list[str]) -> str:
    """What a training that was killed ended in, and one that was not."""
    return "; ".join(sorted(set(ended) ^ set(expected)))


def fork(work: Callable[[], None], log: Path) -> int:
    """Do something in a process of its own; its id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        work()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def is_running(child: int) -> bool:
    """Whether a child has not ended; it stays for `wait` to collect."""
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return ended is None


def wait(child: int) -> int:
    """Wait for a child; its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
