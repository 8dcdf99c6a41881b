"""Training in one call: what ``tenfold train`` does, in Python.

`train` begins a run and `resume` goes on with one; from there on both are the same story, told by
`_carry_out`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tenfold import machine
from tenfold import run as folder
from tenfold.api import _origins
from tenfold.api._origins import Origins, TimeLimit
from tenfold.api._resume import check_unchanged, find_unfinished, reopen
from tenfold.api._run import Run
from tenfold.data.dataset import Dataset, open_dataset
from tenfold.errors import RecipeError, RunError
from tenfold.evaluation import (
    Calibration,
    Result,
    TimeUsed,
    calibrate,
    draw_curves,
    evaluate_probabilities,
    save_calibration,
    save_result,
)
from tenfold.files import atomic_path, remove_leftovers
from tenfold.recipe import Recipe, load_recipe
from tenfold.run_lock import only_training_in
from tenfold.training.time_budget import parse_time

if TYPE_CHECKING:
    import keras

    from tenfold.data.normalization import Normalization
    from tenfold.evaluation import Evaluation
    from tenfold.evaluation.collect import DetailCollector
    from tenfold.models.predict import Predict
    from tenfold.training.fit import Fitted
    from tenfold.training.keeper import CheckpointInterval
    from tenfold.training.pacing import TimeBudget
    from tenfold.training.portions import Portions
    from tenfold.training.recorder import Recorder
    from tenfold.training.stop import Stop
    from tenfold.training.tensorboard import TensorBoard

MakeCallbacks = Callable[[Dataset, Recipe], Sequence["keras.callbacks.Callback"]]
Progress = Callable[[int, int | None], None]
Warn = Callable[[str], None]


_ENOUGH = 10_000
"""Training pictures from which on `fast` is the default: it makes few steps of large batches."""


def default_recipe(source: str | Path | Dataset) -> str:
    """The name of the recipe that a source is trained with unless another is asked for.

    Digits have one of their own: a mirrored 2 is no digit, and a few hundred pictures of 8x8 want
    more epochs of smaller batches. Of any other source it takes the dataset to tell, as it depends
    on the number of training pictures; a name or path is taken for one that has enough for `fast`.
    """
    if not isinstance(source, Dataset):
        return "digits" if str(source) == "digits" else "fast"
    if source.kind == "digits":
        return "digits"
    return "fast" if len(source.train) >= _ENOUGH else "lab-2"


class TrainingInterrupted(KeyboardInterrupt):
    """A training was ended from outside, by Ctrl-C or SIGTERM; `resume` goes on with it.

    Attributes:
        run: the unfinished run.
        reason: ``SIGINT`` or ``SIGTERM``.
    """

    def __init__(self, run: Run, reason: str = "SIGINT") -> None:
        super().__init__()
        self.run = run
        self.reason = reason


def train(
    source: str | Path | Dataset = "digits",
    recipe: str | Path | Recipe | None = None,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    mirror: str | None = None,
    memory: int | str | None = None,
    time: float | str | None = None,
    checkpoints: CheckpointInterval | None = None,
    callbacks: MakeCallbacks | None = None,
    progress: Progress | None = None,
    download_progress: Progress | None = None,
    search_progress: Progress | None = None,
    warn: Warn | None = None,
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
        memory: the most that the process may have, bytes or a text like ``2GB``; where a batch
            does not fit, it is computed in parts. None: what is free, less a margin.
        time: how long it may take once the pictures are prepared, seconds or a text like ``10m``:
            the number of steps and the schedule are fitted to it. An override of
            ``training.epochs`` is then the most; without one, that is four times the recipe's. The
            result depends on how fast the computer is; ``repeat.toml`` in the run's folder repeats
            it anywhere. None: as long as the recipe's epochs take.
        checkpoints: how much work may be at risk; None: at most half a minute.
        callbacks: given the dataset and the recipe, makes Keras callbacks to train with.
        progress: told how many pictures are decoded, and of how many.
        download_progress: told how many bytes are downloaded, and of how many.
        search_progress: told how many pairs of pictures are compared for ``data.drop_leaks``, and
            of how many.
        warn: told in one line of what went wrong and does not end the training; None: Python's
            warnings are.

    Returns:
        The finished run.

    Raises:
        TrainingInterrupted: Ctrl-C or SIGTERM came after the run's folder was made. A network that
            was being trained is saved in it as it was, and `resume` goes on with the training.
        TenfoldError: the source, the recipe or the place for the run is at fault; one line.
    """
    from tenfold.training.stop import Stop

    budget = _bytes(memory)
    seconds = None if time is None else parse_time(time)
    unasked = recipe is None
    if isinstance(recipe, Recipe):
        recipe = recipe.overridden(overrides)
    else:
        recipe = load_recipe(recipe or default_recipe(source), overrides)
    _check_model(recipe)
    stop = Stop()
    with stop.listening():
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
                search_progress=search_progress,
            )
        if unasked and default_recipe(dataset) != recipe.name:
            recipe = load_recipe(default_recipe(dataset), overrides)
            _check_model(recipe)
        limit = None if seconds is None else TimeLimit.of(seconds, recipe, overrides)
        _check_validation(recipe, dataset)
        run = Run(folder.Run.create(Path(out) if out is not None else None, recipe.name).path)
        with only_training_in(run.path):
            if run.recipe_path.exists():  # of a training that was quicker
                raise RunError(f"{run.path} already holds a run; choose another --out")
            origins = _origins.write(run, dataset, recipe, limit)
            return _Training(
                run, dataset, recipe, origins, budget, callbacks, checkpoints, warn or _warn, stop
            ).carry_out()


def resume(
    run: str | Path | None = None,
    source: str | Path | Dataset | None = None,
    recipe: str | Path | Recipe | None = None,
    *,
    overrides: Sequence[str] = (),
    mirror: str | None = None,
    memory: int | str | None = None,
    time: float | str | None = None,
    checkpoints: CheckpointInterval | None = None,
    callbacks: MakeCallbacks | None = None,
    progress: Progress | None = None,
    download_progress: Progress | None = None,
    search_progress: Progress | None = None,
    warn: Warn | None = None,
) -> Run:
    """Go on with an unfinished training from its last checkpoint.

    It ends in the same bits as one that was never interrupted. Recipe and source are those of the
    run; where they are given, they are only compared with it. A run that is finished is returned as
    it is.

    Args:
        run: its folder; None: the current folder where that is a run, else the newest unfinished
            run under ``runs/``.
        source: as for `train`. A dataset is needed where the run was trained on splits that were
            made by hand.
        recipe: as for `train`.
        overrides: likewise.
        mirror: likewise; so are all that follow.
        memory: where it was not decided yet; a run keeps to the parts that it began with.
        time: the run's own, if any; what was used of it until the last checkpoint is used.
        checkpoints: how much work may be at risk.
        callbacks: makes Keras callbacks.
        progress: told of decoding.
        download_progress: told of downloading.
        search_progress: told of the search for duplicates.
        warn: told of what does not end the training.

    Returns:
        The finished run.

    Raises:
        TrainingInterrupted: as for `train`.
        RunError: there is no such run, another training is at work in it, the recipe or the source
            is another than the run's, or the source has changed since.
        TenfoldError: as for `train`.
    """
    from tenfold.training.keeper import CheckpointInterval, Keeper
    from tenfold.training.stop import Stop

    warn = warn or _warn
    budget = _bytes(memory)
    seconds = None if time is None else parse_time(time)
    found = Run(find_unfinished(run).path)
    stop = Stop()
    with stop.listening(), only_training_in(found.path):
        trained = found.recipe()
        check_unchanged(found, source, recipe, overrides, seconds)
        if found.finished:
            Keeper(found, CheckpointInterval(), warn).discard()  # killed before it came to that
            warn(f"run {found.path} is finished already")
            return found
        _check_model(trained)
        dataset = reopen(
            found,
            source,
            mirror=mirror,
            progress=progress,
            download_progress=download_progress,
            search_progress=search_progress,
        )
        _check_validation(trained, dataset)
        remove_leftovers(found.path)
        origins = _origins.read(found, trained, warn)
        return _Training(
            found, dataset, trained, origins, budget, callbacks, checkpoints, warn, stop
        ).carry_out()


@dataclass(frozen=True)
class _Training:
    """All that is known before the first step, and the story that follows from it."""

    run: Run
    dataset: Dataset
    recipe: Recipe
    origins: Origins
    memory: int | None
    make_callbacks: MakeCallbacks | None
    checkpoints: CheckpointInterval | None
    warn: Warn
    stop: Stop

    def carry_out(self) -> Run:
        """Build, train, save, test, and write down what came of it."""
        from tenfold.evaluation.collect import DetailCollector
        from tenfold.models.predict import predictor
        from tenfold.training.stop import Terminated, TrainingStopped

        time = self._time_budget()
        try:
            normalization = self._normalization()
            network = self._network(normalization)
            portions = self._portions(network, normalization)
            recorder, tensorboard = self._watchers(normalization, portions)
            watchers = [recorder, tensorboard]
            fitted = self._fit(network, normalization, portions, watchers, time)
            self._save_model(network)
            calibration = self._calibrate(network, normalization, portions)
            predict = predictor(network, normalization.apply, temperature=calibration.temperature)
            collector = DetailCollector(calibration.temperature)
            test = self._test(predict, portions, collector, recorder, tensorboard)
            self._draw(test)
            self._export(network, test)
            self._finish(self._result(network, fitted, recorder, test, time))
            self._report(test, collector)
        except TrainingStopped as stopped:
            raise TrainingInterrupted(self.run, stopped.reason) from None
        except Terminated:
            raise TrainingInterrupted(self.run, "SIGTERM") from None
        except KeyboardInterrupt:
            raise TrainingInterrupted(self.run) from None
        return self.run

    def _time_budget(self) -> TimeBudget | None:
        """The budget, its clock running from now on."""
        from tenfold.training.pacing import TimeBudget
        from tenfold.training.phases import costs

        limit = self.origins.time_limit
        if limit is None:
            return None
        phases = costs(self.recipe, self.dataset.size)
        return TimeBudget(limit.seconds, limit.most_epochs, self.run.record, phases)

    def _normalization(self) -> Normalization:
        from tenfold.data.normalization import Normalization

        normalization = Normalization.fit(self.recipe.data.normalization, self.dataset)
        _origins.write_preprocessing(self.run, self.dataset, normalization)
        return normalization

    def _network(self, normalization: Normalization) -> keras.Model:
        from tenfold.models import STEM, build_network, whiten
        from tenfold.models.whitening import sample

        network = build_network(
            self.recipe.model,
            size=self.dataset.size,
            classes=len(self.dataset.class_names),
            seed=self.recipe.seed,
            precision=self.origins.precision,
        )
        if any(layer.name == STEM for layer in network.layers):
            train = self.dataset.train
            pixels, _ = train.gather(sample(len(train)))
            whiten(network, normalization.apply(pixels.astype(np.float32)))
        return network

    def _portions(self, network: keras.Model, normalization: Normalization) -> Portions:
        """How many pictures are computed at a time: as the run began, or as memory has it."""
        from tenfold.training.memory import choose_portions, default_budget

        if self.origins.portions:
            return self.origins.portions
        budget = default_budget() if self.memory is None else self.memory
        portions = choose_portions(network, self.recipe, self.dataset, normalization, budget)
        _origins.write_portions(self.run, portions)
        return portions

    def _watchers(
        self, normalization: Normalization, portions: Portions
    ) -> tuple[Recorder, TensorBoard]:
        from tenfold.models import layers_of_interest
        from tenfold.training.fit import training_order
        from tenfold.training.recorder import Recorder
        from tenfold.training.tensorboard import LARGEST_GRID, LARGEST_SAMPLE, TensorBoard

        train, batch_size = self.dataset.train, self.recipe.training.batch_size
        order = training_order(self.recipe, self.dataset)
        pixels, _ = train.gather(
            np.sort(order.positions(0)[: min(LARGEST_SAMPLE, portions.training)])
        )
        tensorboard = TensorBoard(
            self.run.tensorboard_path,
            sample_inputs=normalization.apply(pixels.astype(np.float32)),
            sample_pictures=pixels[:LARGEST_GRID],
            layers=layers_of_interest(self.recipe.model.name),
            batch_size=batch_size,
        )
        recorder = Recorder(self.run, pictures=order.pictures_per_epoch, batch_size=batch_size)
        return recorder, tensorboard

    def _fit(
        self,
        network: keras.Model,
        normalization: Normalization,
        portions: Portions,
        watchers: Sequence[keras.callbacks.Callback],
        time: TimeBudget | None,
    ) -> Fitted:
        """Train from the last checkpoint on, or from the start where there is none."""
        from tenfold.training.fit import fit
        from tenfold.training.keeper import CheckpointInterval, Keeper
        from tenfold.training.stop import TrainingStopped

        extra = self.make_callbacks(self.dataset, self.recipe) if self.make_callbacks else ()
        keeper = Keeper(self.run, self.checkpoints or CheckpointInterval(), self.warn)
        try:
            fitted = fit(
                network,
                self.recipe,
                self.dataset,
                normalization,
                [*watchers, *extra],
                keeper=keeper,
                stop=self.stop,
                portions=portions,
                time_budget=time,
            )
        except (KeyboardInterrupt, TrainingStopped):
            if self.stop.began:  # else the network may not even be what it was
                with suppress(KeyboardInterrupt):  # a second Ctrl-C costs nothing of the first
                    self._save_model(network)
            raise
        if fitted.planned_steps is not None:
            _origins.write_repeat(self.run, self.recipe, fitted.planned_steps, fitted.plans)
        return fitted

    def _save_model(self, network: keras.Model) -> None:
        with atomic_path(self.run.model_path) as temporary:
            network.save(temporary)

    def _calibrate(
        self, network: keras.Model, normalization: Normalization, portions: Portions
    ) -> Calibration:
        """Make the probabilities honest, by the validation split."""
        from tenfold.models.predict import logits_function

        calibration = calibrate(
            self.dataset.validation,
            logits_function(network, normalization.apply),
            batch_size=portions.evaluation,
        )
        save_calibration(self.run, calibration)
        return calibration

    def _test(
        self,
        predict: Predict,
        portions: Portions,
        collector: DetailCollector,
        recorder: Recorder,
        tensorboard: TensorBoard,
    ) -> Evaluation:
        """Read the test split, for the first time and the only one."""
        batches = (
            (labels, predict(pixels))
            for pixels, labels in self.dataset.test.batches(portions.evaluation)
        )
        test = evaluate_probabilities(collector.watch(batches), self.dataset.class_names)
        tensorboard.write_test(test.accuracy, step=recorder.steps)
        self.run.record({"event": "test", "accuracy": test.accuracy, "loss": test.loss})
        return test

    @property
    def _title(self) -> str:
        return f"{self.recipe.name} on {Path(self.dataset.source).name}"

    def _draw(self, test: Evaluation) -> None:
        draw_curves(self.run.metrics(), self.run.curves_path, title=self._title, test=test)

    def _export(self, network: keras.Model, test: Evaluation) -> None:
        """Leave the model in the form that predictions are made with."""
        from tenfold.serving.export.facts import Facts
        from tenfold.serving.export.onnx import write_onnx

        write_onnx(network, Facts.of(self.run, test_accuracy=test.accuracy), self.run.onnx_path)

    def _result(
        self,
        network: keras.Model,
        fitted: Fitted,
        recorder: Recorder,
        test: Evaluation,
        time: TimeBudget | None,
    ) -> Result:
        from tenfold.training.fit import training_order

        pictures = training_order(self.recipe, self.dataset).pictures(recorder.steps)
        return Result(
            test=test,
            seconds=fitted.seconds,
            images_per_second=pictures / recorder.seconds,
            peak_memory_bytes=max(fitted.peak_memory, machine.peak_memory()),
            epochs=fitted.epochs,
            steps=recorder.steps,
            parameters=sum(int(np.prod(v.shape)) for v in network.trainable_variables),
            precision=self.origins.precision,
            started=self.origins.started,
            finished=_origins.now(),
            time_budget=TimeUsed(time.seconds, time.used) if time else None,
        )

    def _finish(self, result: Result) -> None:
        """Make the run finished; from here on there is nothing to go on from."""
        from tenfold.training.keeper import CheckpointInterval, Keeper

        save_result(self.run, result)
        Keeper(self.run, CheckpointInterval(), self.warn).discard()

    def _report(self, test: Evaluation, collector: DetailCollector) -> None:
        """Leave a page for people; what goes wrong with it costs the run nothing."""
        from tenfold.data.leaks import in_words, known_leaks
        from tenfold.evaluation.report import leave_report

        leaks = known_leaks(self.dataset)
        leave_report(
            self.run,
            self.dataset,
            test,
            collector,
            title=self._title,
            warn=self.warn,
            findings=(in_words(leaks, len(self.dataset.test)),) if leaks else (),
        )


def _check_model(recipe: Recipe) -> None:
    """Refuse an unknown network, or a setting that it has not, before any picture is decoded."""
    from tenfold.models import check_section, check_small_size

    check_section(recipe.model)
    check_small_size(recipe.model.name, recipe.training.small_size)


def _check_validation(recipe: Recipe, dataset: Dataset) -> None:
    if recipe.training.early_stopping is not None and not len(dataset.validation):
        raise RecipeError(
            f"training.early_stopping watches the validation split, and {dataset.source} has none; "
            "set data.validation=0.1, or training.early_stopping=none"
        )


def _bytes(memory: int | str | None) -> int | None:
    if not isinstance(memory, str):
        return memory
    try:
        return machine.parse_memory(memory)
    except ValueError as error:
        raise RecipeError(str(error)) from None


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)
