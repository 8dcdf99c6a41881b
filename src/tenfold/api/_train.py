"""Training in one call: what ``tenfold train`` does, in Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tenfold import machine
from tenfold import run as folder
from tenfold.api._run import Run
from tenfold.data.dataset import Dataset, open_dataset
from tenfold.data.sources import SourceName
from tenfold.errors import RecipeError
from tenfold.evaluation import Result, draw_curves, evaluate_probabilities, save_result
from tenfold.files import atomic_path, atomic_write_json, atomic_write_text
from tenfold.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    import keras

    from tenfold.data.normalization import Normalization


def default_recipe(source: str | Path | Dataset) -> str:
    """The name of the recipe that a source is trained with unless another is asked for.

    Digits have one of their own: a mirrored 2 is no digit, and a few hundred pictures of 8x8 want
    more epochs of smaller batches.
    """
    kind = source.kind if isinstance(source, Dataset) else str(source)
    return "digits" if kind == "digits" else "lab-2"


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a training.

    Attributes:
        run: the unfinished run.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run


def train(
    source: str | Path | Dataset = "digits",
    recipe: str | Path | Recipe | None = None,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    mirror: str | None = None,
    callbacks: Callable[[Dataset, Recipe], Sequence[keras.callbacks.Callback]] | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    download_progress: Callable[[int, int | None], None] | None = None,
) -> Run:
    """Train a recipe on a source, test it once, and leave a run folder.

    The test split is read when all training is done, and never before.

    Args:
        source: a name, a path, or a dataset from `tenfold.open_dataset`, whose splits are then
            used as they are, whatever the recipe's data section says of them.
        recipe: the name of a shipped one, the path of a TOML file, or a recipe; None: see
            `default_recipe`.
        overrides: ``section.key=value`` texts that change it.
        out: the run's folder; None: a new one under ``runs/``.
        mirror: where to download a named source from instead of the official site.
        callbacks: given the dataset and the recipe, makes Keras callbacks to train with.
        progress: told how many pictures are decoded, and of how many.
        download_progress: told how many bytes are downloaded, and of how many.

    Returns:
        The finished run.

    Raises:
        TrainingInterrupted: Ctrl-C came after the run's folder was made. A network that was being
            trained is saved in it as it was.
        TenfoldError: the source, the recipe or the place for the run is at fault; one line.
    """
    if isinstance(recipe, Recipe):
        recipe = recipe.overridden(overrides)
    else:
        recipe = load_recipe(recipe or default_recipe(source), overrides)
    _check_model(recipe)
    if isinstance(source, Dataset):
        dataset = source
    else:
        options = {**recipe.data.model_dump(exclude={"normalization"}), "seed": recipe.seed}
        dataset = open_dataset(
            source,
            **options,
            mirror=mirror,
            progress=progress,
            download_progress=download_progress,
        )
    if recipe.training.early_stopping is not None and not len(dataset.validation):
        raise RecipeError(
            f"training.early_stopping watches the validation split, and {dataset.source} has none; "
            "set data.validation=0.1, or training.early_stopping=none"
        )
    new = Run(folder.Run.create(Path(out) if out is not None else None, recipe.name).path)
    try:
        return _train(new, dataset, recipe, callbacks)
    except KeyboardInterrupt:
        raise TrainingInterrupted(new) from None


def _train(
    new: Run,
    dataset: Dataset,
    recipe: Recipe,
    callbacks: Callable[[Dataset, Recipe], Sequence[keras.callbacks.Callback]] | None,
) -> Run:
    started = _now()
    computer = machine.describe()
    precision, reason = _precision(recipe, computer)
    _write_origins(new, dataset, recipe, computer, precision, reason)

    from tenfold.data.normalization import Normalization
    from tenfold.models import build_network, layers_of_interest
    from tenfold.models.predict import predictor
    from tenfold.training.fit import EVALUATION_BATCH, fit, training_order
    from tenfold.training.recorder import Recorder
    from tenfold.training.tensorboard import LARGEST_GRID, LARGEST_SAMPLE, TensorBoard

    normalization = Normalization.fit(recipe.data.normalization, dataset)
    _write_preprocessing(new, dataset, normalization)
    network = build_network(
        recipe.model,
        size=dataset.size,
        classes=len(dataset.class_names),
        seed=recipe.seed,
        precision=precision,
    )
    order = training_order(recipe, dataset)
    pixels, _ = dataset.train.gather(np.sort(order.positions(0)[:LARGEST_SAMPLE]))
    tensorboard = TensorBoard(
        new.tensorboard_path,
        sample_inputs=normalization.apply(pixels.astype(np.float32)),
        sample_pictures=pixels[:LARGEST_GRID],
        layers=layers_of_interest(recipe.model.name),
        batch_size=recipe.training.batch_size,
    )
    recorder = Recorder(new, pictures=len(dataset.train), batch_size=recipe.training.batch_size)
    extra = callbacks(dataset, recipe) if callbacks else ()

    began = time.perf_counter()
    try:
        fitted = fit(network, recipe, dataset, normalization, [recorder, tensorboard, *extra])
    except KeyboardInterrupt:
        with suppress(KeyboardInterrupt):  # a second Ctrl-C must not cost the work of the first
            _save_model(new, network)
        raise
    seconds = time.perf_counter() - began
    _save_model(new, network)

    predict = predictor(network, normalization.apply)
    test = evaluate_probabilities(
        ((labels, predict(pixels)) for pixels, labels in dataset.test.batches(EVALUATION_BATCH)),
        dataset.class_names,
    )
    tensorboard.write_test(test.accuracy, step=recorder.steps)
    new.record({"event": "test", "accuracy": test.accuracy, "loss": test.loss})
    title = f"{recipe.name} on {Path(dataset.source).name}"
    draw_curves(new.metrics(), new.curves_path, title=title, test=test)
    save_result(
        new,
        Result(
            test=test,
            seconds=seconds,
            images_per_second=fitted.epochs * len(dataset.train) / recorder.seconds,
            peak_memory_bytes=machine.peak_memory(),
            epochs=fitted.epochs,
            steps=recorder.steps,
            parameters=sum(int(np.prod(v.shape)) for v in network.trainable_variables),
            precision=precision,
            started=started,
            finished=_now(),
        ),
    )
    return new


def _check_model(recipe: Recipe) -> None:
    """Refuse an unknown network before any picture is decoded."""
    from tenfold.models import layers_of_interest

    layers_of_interest(recipe.model.name)


def _precision(recipe: Recipe, computer: machine.Machine) -> tuple[Literal["float32", "bf16"], str]:
    if recipe.training.precision == "auto":
        return machine.preferred_precision(computer)
    return recipe.training.precision, "the recipe asks for it"


def _write_origins(
    new: Run,
    dataset: Dataset,
    recipe: Recipe,
    computer: machine.Machine,
    precision: str,
    reason: str,
) -> None:
    """What the run started from: written before the first step, so that it outlives a crash."""
    atomic_write_text(new.recipe_path, recipe.to_toml())
    splits = (dataset.train, dataset.validation, dataset.test)
    atomic_write_json(
        new.source_path,
        {
            "name": _lasting_name(dataset.source),
            "kind": dataset.kind,
            "fingerprint": dataset.fingerprint,
            "splits": {split.name: len(split) for split in splits},
            "options": dict(dataset.options),
            "skipped": dataset.skipped,
        },
    )
    atomic_write_json(
        new.environment_path,
        {
            "machine": asdict(computer),
            "versions": machine.versions(),
            "precision": precision,
            "precision_reason": reason,
            "seed": recipe.seed,
        },
    )


def _write_preprocessing(new: Run, dataset: Dataset, normalization: Normalization) -> None:
    atomic_write_json(
        new.preprocessing_path,
        {
            "size": dataset.size,
            "offset": normalization.offset,
            "scale": normalization.scale,
            "class_names": dataset.class_names,
        },
    )


def _save_model(new: Run, network: keras.Model) -> None:
    with atomic_path(new.model_path) as temporary:
        network.save(temporary)


def _lasting_name(source: str) -> str:
    """A path as it can be found from any folder; a name as it is, which wins over a path."""
    if source in get_args(SourceName) or not Path(source).exists():
        return source
    return str(Path(source).resolve())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
