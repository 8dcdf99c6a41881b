"""What checkpoints cost a training, and the loop that they need beside Keras's own.

    python benchmarks/checkpoint.py [SOURCE] [--rows 20000] [--repeat 5]

Trains lab-2 on SOURCE and the digits on their own recipe, with the checkpoints that every training
has, and adds up the time that the training stands still for them. Then it computes the same epoch
of many small steps by Keras's ``fit`` and by our loop, in turn.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import report


def main() -> None:
    """Measure both, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", nargs="?", default=str(report.PICTURES))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    lab_2 = [f"data.rows={arguments.rows}", "training.epochs=2"]
    measured: dict[str, Any] = {
        "lab-2": with_checkpoints(arguments.source, "lab-2", lab_2),
        "digits": with_checkpoints("digits", "digits", []),
        "loop": beside_keras(arguments.repeat),
    }
    titles = ["training", "checkpoints", "each, ms", "size, MB", "training, s", "share of the time"]
    rows = [
        [
            name,
            f"{one['count']}",
            f"{one['seconds'] / one['count'] * 1000:.1f}",
            f"{one['bytes'] / 1e6:.1f}",
            f"{one['training_seconds']:.1f}",
            f"{one['seconds'] / one['training_seconds']:.2%}",
        ]
        for name, one in measured.items()
        if name != "loop"
    ]
    keras_ms, ours_ms = (
        statistics.median(measured["loop"][name]) * 1000 for name in ("keras", "ours")
    )
    loop = report.table(
        ["a step of 32 digits", "ms"],
        [
            ["Keras's fit", f"{keras_ms:.2f}"],
            ["our loop", f"{ours_ms:.2f}"],
            ["ratio of medians", f"{ours_ms / keras_ms:.2f}"],
        ],
    )
    report.save("checkpoint", report.table(titles, rows) + "\n" + loop, measured)


def with_checkpoints(source: str, recipe: str, overrides: list[str]) -> dict[str, Any]:
    """Train, and time what the training waits for."""
    import tenfold
    from tenfold.training import keeper
    from tenfold.training.loop import Loop

    save, write = Loop._save, keeper.write_checkpoint
    spent: dict[str, Any] = {"count": 0, "seconds": 0.0, "bytes": 0}

    def timed(self: Loop, **settings: Any) -> None:
        began = time.perf_counter()
        save(self, **settings)
        spent["seconds"] += time.perf_counter() - began
        spent["count"] += 1

    def sized(path: Path, checkpoint: Any) -> None:
        write(path, checkpoint)
        spent["bytes"] = path.stat().st_size

    Loop._save, keeper.write_checkpoint = timed, sized  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a disk, and not memory
            run = tenfold.train(source, recipe, overrides=overrides, out=Path(folder) / "run")
            return {**spent, "training_seconds": run.result()["seconds"]}
    finally:
        Loop._save, keeper.write_checkpoint = save, write  # type: ignore[method-assign]


def beside_keras(repeat: int) -> dict[str, list[float]]:
    """Seconds of a step of the digits' recipe, by Keras's ``fit`` and by our loop, in turn."""
    from tenfold import open_dataset
    from tenfold.data.normalization import Normalization
    from tenfold.data.pipeline import training_batches
    from tenfold.models import build_network
    from tenfold.recipe import load_recipe
    from tenfold.training.fit import training_order
    from tenfold.training.loop import Feed, Loop
    from tenfold.training.trainee import Trainee

    recipe, dataset = load_recipe("digits"), open_dataset("digits")
    order = training_order(recipe, dataset)
    steps = 5 * order.steps_per_epoch
    normalization = Normalization.fit("standard", dataset)
    network = build_network(recipe.model, size=dataset.size, classes=10)
    trainee = Trainee(network, recipe, steps)

    def batches(step: int) -> Any:
        return training_batches(
            dataset.train, order, normalization=normalization, classes=10, steps=steps
        )

    def keras_fit() -> None:
        trainee.fit(batches(0), steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False)

    def our_loop() -> None:
        Loop(trainee, Feed(batches, steps, 1), []).run()

    seconds: dict[str, list[float]] = {"keras": [], "ours": []}
    keras_fit()  # compiles the step for both
    for _ in range(repeat):
        for name, train in (("keras", keras_fit), ("ours", our_loop)):
            began = time.perf_counter()
            train()
            seconds[name].append((time.perf_counter() - began) / steps)
    return seconds


if __name__ == "__main__":
    main()
