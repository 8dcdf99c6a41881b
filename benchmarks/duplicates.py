"""How many changed copies are found, how long the search takes, and how much memory.

    python benchmarks/duplicates.py [SOURCE] [--copies 300] [--pictures N]
    python benchmarks/duplicates.py --synthetic 1000000

Changed copies of a source's pictures, so many of each kind, are put after all of its pictures; then
every picture is compared with every other, in a fresh process. Recall is the share of the copies
that are found as a duplicate of their original, the right way round. With ``--synthetic`` there
are only that many random pictures, to see how time and memory grow.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import report
from prepare import PeakMemory
from tenfold import machine
from tenfold.data.duplicates.near import find_near
from tenfold.data.rows import RowReader
from tenfold.data.sources import open_source
from tenfold.data.store import open_store

BICUBIC = Image.Resampling.BICUBIC
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Compress a picture and read it again."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def clipped(pixels: np.ndarray, gain: float, offset: float) -> np.ndarray:
    """Change contrast around the middle, and brightness."""
    return np.clip((pixels - 127.5) * gain + 127.5 + offset, 0, 255).astype(np.uint8)


def shifted(pixels: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Shift by up to so many pixels, but not by none; the edge is repeated."""
    side, (right, down) = len(pixels), (0, 0)
    while not (right or down):
        right, down = (int(step) for step in rng.integers(-most, most + 1, 2))
    grown = np.pad(pixels, ((most, most), (most, most), (0, 0)), "edge")
    return grown[most + down : most + down + side, most + right : most + right + side]


def cropped(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut away a tenth of the width and of the height, anywhere, and enlarge what is left."""
    side = len(pixels)
    left, top = rng.uniform(0, 0.1 * side, 2)
    box = (left, top, left + 0.9 * side, top + 0.9 * side)
    return np.asarray(Image.fromarray(pixels).resize((side, side), BICUBIC, box))


def rescaled(pixels: np.ndarray, share: float) -> np.ndarray:
    """Shrink to a share of the size, and enlarge again."""
    side, small = len(pixels), round(share * len(pixels))
    image = Image.fromarray(pixels).resize((small, small), BICUBIC)
    return np.asarray(image.resize((side, side), BICUBIC))


CHANGES: dict[str, Change] = {
    "mirrored": lambda p, _: p[:, ::-1],
    "JPEG, quality 50": lambda p, _: jpeg(p, 50),
    "JPEG, quality 30": lambda p, _: jpeg(p, 30),
    "brighter or darker by 10 to 30": lambda p, r: clipped(
        p, 1, r.choice([-1, 1]) * r.uniform(10, 30)
    ),
    "contrast changed by up to 25%": lambda p, r: clipped(p, r.uniform(0.75, 1.25), 0),
    "shifted by 1 pixel": lambda p, r: shifted(p, 1, r),
    "shifted by up to 2 pixels": lambda p, r: shifted(p, 2, r),
    "cropped by 10%": cropped,
    "rescaled by 3/4 and back": lambda p, _: rescaled(p, 0.75),
    "rescaled by 1/2 and back": lambda p, _: rescaled(p, 0.5),
    "made grey": lambda p, _: np.repeat(
        np.asarray(Image.fromarray(p).convert("L"))[..., None], 3, axis=2
    ),
    "mirrored, cropped by 10%, JPEG 75": lambda p, r: jpeg(
        np.ascontiguousarray(cropped(p, r)[:, ::-1]), 75
    ),
    "shifted by up to 2, brighter, JPEG 75": lambda p, r: jpeg(
        clipped(shifted(p, 2, r), r.uniform(0.85, 1.15), r.uniform(-15, 15)), 75
    ),
}


def main() -> None:
    """Run the search in a fresh process, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", nargs="?", default=str(report.PICTURES))
    parser.add_argument("--copies", type=int, default=300, help="of each kind")
    parser.add_argument("--pictures", type=int, help="the first so many; default: all")
    parser.add_argument("--synthetic", type=int, help="so many random pictures, and no copies")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(search(arguments)))
        return
    command = [sys.executable, __file__, *sys.argv[1:], "--once"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    figures = report.table(
        ["pictures", "seconds", "peak memory, MB", "pairs found besides"],
        [
            [
                f"{found['pictures']:,}",
                f"{found['seconds']:.1f}",
                f"{found['peak_memory_bytes'] / 1e6:,.0f}",
                f"{found['other_pairs']:,}",
            ]
        ],
    )
    if arguments.synthetic:
        report.save("duplicates_synthetic", figures, found)
        return
    recalls = report.table(
        ["copy", "found"], [[kind, f"{share:.1%}"] for kind, share in found["recall"].items()]
    )
    report.save("duplicates", f"{recalls}\n{figures}", found)


def search(arguments: argparse.Namespace) -> dict[str, object]:
    """Make the pictures, search them, and count what was found."""
    with tempfile.TemporaryDirectory() as folder:
        path, scratch = Path(folder) / "images.raw", Path(folder) / "scratch"
        scratch.mkdir()
        if arguments.synthetic:
            size, planted = 32, {}
            synthesize(path, arguments.synthetic)
        else:
            size, planted = plant(path, arguments)
        count = path.stat().st_size // (size * size * 3)
        images = np.memmap(path, np.uint8, mode="r", shape=(count, size, size, 3))
        with PeakMemory() as memory:
            start = time.perf_counter()
            found = find_near(images, np.arange(count), scratch, workers=machine.describe().cores)
            seconds = time.perf_counter() - start
    pairs = {
        (int(one), int(two)): bool(mirrored)
        for (one, two), mirrored in zip(found.pairs, found.mirrored, strict=True)
    }
    hits: dict[str, list[bool]] = {kind: [] for kind in CHANGES}
    for pair, kind in planted.items():
        hits[kind].append(pairs.get(pair) == ("mirrored" in kind))
    return {
        "pictures": count,
        "seconds": seconds,
        "peak_memory_bytes": memory.peak,
        "other_pairs": len(pairs.keys() - planted.keys()),
        "recall": {kind: float(np.mean(hit)) for kind, hit in hits.items() if hit},
    }


def plant(path: Path, arguments: argparse.Namespace) -> tuple[int, dict[tuple[int, int], str]]:
    """Write a source's pictures and changed copies after them; the copies' kinds, by pair."""
    source = open_source(arguments.source)
    store = open_store(source, size=source.native_size or 32)
    count = min(arguments.pictures or len(store), len(store))
    rng = np.random.default_rng(0)
    chosen = rng.permutation(count)[: arguments.copies * len(CHANGES)]
    reader = RowReader(store.images)
    planted = {}
    with path.open("wb") as file:
        for start in range(0, count, 1024):
            file.write(reader.read(np.arange(start, min(start + 1024, count))).tobytes())
        kinds = [kind for kind in CHANGES for _ in range(arguments.copies)]
        for number, (original, kind) in enumerate(zip(chosen.tolist(), kinds, strict=False)):
            picture = reader.read(np.array([original]))[0]
            file.write(np.ascontiguousarray(CHANGES[kind](picture, rng)).tobytes())
            planted[original, count + number] = kind
    return store.size, planted


def synthesize(path: Path, count: int) -> None:
    """Write random fields whose spectrum falls with the frequency, as that of photographs does."""
    rng = np.random.default_rng(0)
    grid = np.hypot(*np.meshgrid(*[np.fft.fftfreq(32)] * 2))
    grid[0, 0] = 1
    with path.open("wb") as file:
        for start in range(0, count, 1000):
            few = min(1000, count - start)
            noise = np.fft.fft2(rng.normal(size=(few, 3, 32, 32))) / grid**1.2
            fields = np.fft.ifft2(noise).real
            fields += 2 * fields.mean(axis=1, keepdims=True)
            fields *= 48 / fields.std(axis=(1, 2, 3), keepdims=True)
            pixels = np.clip(128 + fields.transpose(0, 2, 3, 1), 0, 255)
            file.write(pixels.astype(np.uint8).tobytes())


if __name__ == "__main__":
    main()
