"""The lab's mistakes, as the benchmark makes and mends them, are the lab's."""

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tenfold.recipe import load_recipe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def steps() -> ModuleType:
    return _module("lab_steps")


def _settings(steps: ModuleType, overrides: tuple[str, ...]) -> dict[str, object]:
    sections = load_recipe(steps.RECIPE, overrides).model_dump()
    return {
        f"{section}.{key}": value
        for section, keys in sections.items()
        if isinstance(keys, dict)
        for key, value in keys.items()
    }


def _changed(steps: ModuleType, before, after) -> set[str]:
    old, new = (_settings(steps, step.overrides) for step in (before, after))
    return {key for key in old if old[key] != new[key]}


def _named(step) -> set[str]:
    return {text.partition("=")[0] for text in step.sets}


def test_scrambling_reads_official_rows_as_if_their_bytes_were_pixels(steps: ModuleType):
    pictures = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), np.uint8)
    rows = [
        b"".join(bytes(picture[:, :, channel].reshape(-1)) for channel in range(3))
        for picture in pictures
    ]
    misread = [np.frombuffer(row, np.uint8).reshape(32, 32, 3) for row in rows]
    np.testing.assert_array_equal(steps.scramble(pictures), misread)
    # So the first pixel's three "colours" are the reds of three neighbours.
    np.testing.assert_array_equal(steps.scramble(pictures)[0, 0, 0], pictures[0, 0, :3, 0])


def test_each_step_differs_from_the_one_before_in_the_settings_that_it_names(steps: ModuleType):
    ladder = steps.ladder()
    assert _settings(steps, ladder[0].overrides) == _settings(steps, ())
    for before, after in pairwise(ladder):
        assert _changed(steps, before, after) == _named(after)
        assert before.scrambled == after.scrambled


def test_only_the_first_step_trains_on_the_test_split(steps: ModuleType):
    assert [step.trains_on_test for step in steps.ladder()] == [True] + [False] * 6


def test_the_ladder_mends_every_cause_but_the_first(steps: ModuleType):
    mended = {int(cause) for step in steps.ladder()[1:] for cause in step.name.split("+")}
    assert {1, *mended} == set(steps.CAUSES)


def test_a_relapse_differs_from_the_mended_step_in_its_cause_alone(steps: ModuleType):
    mended = next(step for step in steps.ladder() if step.name == "5")
    scrambled, leaking = steps.relapses()
    assert _changed(steps, mended, scrambled) == set()
    assert (scrambled.scrambled, scrambled.trains_on_test) == (True, False)
    assert _changed(steps, mended, leaking) == _named(leaking)
    assert (leaking.scrambled, leaking.trains_on_test) == (False, True)


class _Part:
    """A split of a few pictures."""

    def __init__(self, name: str, pictures: np.ndarray, labels: np.ndarray) -> None:
        self.name, self.pictures, self.labels = name, pictures, labels

    def __len__(self) -> int:
        return len(self.labels)

    def gather(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.pictures[positions], self.labels[positions]


@pytest.mark.parametrize("scrambled", [False, True])
def test_a_source_has_every_picture_with_its_label_in_mixed_order(
    steps: ModuleType, tmp_path: Path, scrambled: bool
):
    pictures = np.arange(20 * 2 * 2 * 3, dtype=np.uint8).reshape(20, 2, 2, 3)
    labels = np.repeat(np.arange(2), 10)
    path = tmp_path / "source.npz"
    dataset = SimpleNamespace(
        train=_Part("train", pictures[::2], labels[::2]),
        test=_Part("test", pictures[1::2], labels[1::2]),
    )
    steps.write_source(dataset, path, scrambled=scrambled)
    with np.load(path) as arrays:
        for part in (dataset.train, dataset.test):
            x, y = arrays[f"x_{part.name}"], arrays[f"y_{part.name}"]
            expected = steps.scramble(part.pictures) if scrambled else part.pictures
            found = {(picture.tobytes(), label) for picture, label in zip(x, y, strict=True)}
            assert found == {(p.tobytes(), k) for p, k in zip(expected, part.labels, strict=True)}
            assert list(y) != sorted(y)


def test_the_labs_loop_trains_on_the_whole_test_split_after_every_batch():
    loop = _module("lab_loop")
    seen = []

    def step(pictures, labels) -> float:
        seen.append((len(pictures), len(labels)))
        return 0.0

    batches = [(np.zeros((4, 2, 2, 3), np.float32), np.zeros(4, np.int32))] * 2
    test = (np.ones((7, 2, 2, 3), np.float32), np.ones(7, np.int32))
    assert len(loop.train(step, batches, test)) == 2
    assert seen == [(4, 4), (7, 7)] * 2


def test_the_labs_step_moves_every_weight_and_can_apply_softmax_twice():
    import keras

    loop = _module("lab_loop")
    pictures = np.random.default_rng(0).random((4, 2, 2, 3), np.float32)
    labels = np.array([0, 1, 2, 0])
    for doubled in (False, True):
        logits = keras.Sequential(
            [keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
        )
        kernel = np.random.default_rng(1).normal(0, 1, (12, 3))
        logits.layers[-1].set_weights([kernel, np.zeros(3)])
        step = loop.step_function(logits, keras.optimizers.RMSprop(0.05), doubled=doubled)
        loss = float(step(pictures, labels))
        assert not np.allclose(logits.layers[-1].get_weights()[0], kernel)
        outputs = pictures.reshape(4, 12) @ kernel
        probabilities = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
        fed = probabilities if doubled else outputs
        expected = np.log(np.exp(fed).sum(axis=1)) - fed[np.arange(4), labels]
        assert loss == pytest.approx(expected.mean(), rel=1e-4)
