"""How many pictures fit, and that they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold import machine
from tenfold.data.dataset import Dataset
from tenfold.data.normalization import Normalization
from tenfold.errors import RecipeError
from tenfold.models import build_network
from tenfold.recipe import load_recipe
from tenfold.training import memory
from tenfold.training.memory import ResidentPeak, choose_portions, default_budget, resident
from tenfold.training.portions import Portions

MB = 10**6


@given(
    each=st.integers(1, 10**7),
    base=st.integers(0, 10**9),
    usable=st.integers(10**9, 10**11),
    known=st.floats(0, 1),
)
def test_what_is_chosen_fits_and_twice_as_much_is_not_expected_to(
    each: int, base: int, usable: int, known: float
) -> None:
    sizes = [8, 16, 32, 63, 125, 250]
    measured = []

    def measure(size: int) -> int:
        measured.append(size)
        return base + each * size

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "resident", lambda: base)
        chosen, least = memory._largest(sizes, measure, usable, int(known * each))

    def takes(size: int) -> int:
        return base + each * size

    first, *tried = measured  # the first time, graphs are built
    assert first == 8
    assert tried == sizes[: len(tried)]
    assert least == takes(8)
    assert takes(chosen) <= usable or chosen == 8
    if chosen > tried[-1]:  # the largest, where it certainly fits
        assert chosen == sizes[-1]
        assert len(tried) > 1
        assert takes(tried[-1]) + 3 * each * (chosen - tried[-1]) <= usable
        return
    assert chosen == max((size for size in tried if takes(size) <= usable), default=8)
    # From the second doubling on, it is known what one adds, to a picture or two.
    if tried[-1] > 16:
        assert takes(tried[-1] - 2) <= usable
    if tried[-1] == chosen < sizes[-1]:
        assert takes(sizes[len(tried)] + 2) > usable


def test_what_hides_in_memory_that_was_used_before_is_counted_all_the_same() -> None:
    measured = []

    def measure(size: int) -> int:
        measured.append(size)
        return max(1000, 10 * size)  # nothing to be seen of the first hundred pictures

    assert memory._largest([8, 16, 32, 64, 125, 250], measure, 2000, 10) == (125, 1000)
    assert max(measured) == 125


@pytest.fixture(scope="module")
def dataset(make_dataset: Callable[..., Dataset]) -> Dataset:
    return make_dataset(train=600)


RECIPE = load_recipe(
    "lab-2",
    [
        *("training.batch_size=500", "optimizer.name=sgd"),
        *("augmentation.width_shift=0", "augmentation.height_shift=0"),
    ],
)


def choose(dataset: Dataset, budget: int) -> Portions:
    network = build_network(RECIPE.model, size=8, classes=3, seed=0)
    before = [np.array(variable) for variable in network.variables]
    normalization = Normalization.fit("standard", dataset)
    try:
        return choose_portions(network, RECIPE, dataset, normalization, budget)
    finally:
        for variable, value in zip(network.variables, before, strict=True):
            np.testing.assert_array_equal(variable, value)


def test_where_memory_is_plenty_batches_are_whole_and_nothing_is_measured(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_Trial", pytest.fail)
    assert choose(dataset, 10**12) == Portions(500, 256)


def test_what_does_not_fit_is_refused_with_the_budget_that_would_do(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each picture takes 30 MB, on top of what the process has.
    now = resident()
    monkeypatch.setattr(memory, "resident", lambda: now)
    monkeypatch.setattr(memory, "_at_most", lambda *_: 10**15)  # nothing is too small to measure
    monkeypatch.setattr(memory._Trial, "train", lambda self, size: now + size * 30 * MB)
    monkeypatch.setattr(memory._Trial, "evaluate", lambda self, size: now + size * MB)
    with pytest.raises(RecipeError, match=r"even with 8 pictures at a time; it would with") as info:
        choose(dataset, now)
    needed = machine.parse_memory(str(info.value).rpartition("--memory ")[2])
    assert choose(dataset, needed).training <= 16
    with pytest.raises(RecipeError):
        choose(dataset, needed - 20 * MB)
    # The sizes are 8, 16, 32, 63, 125, 250 and 500: 250 is not tried where 125 leaves too little.
    assert choose(dataset, int((now + 4060 * MB) / 0.95)) == Portions(125, 256)


def test_a_real_measurement_leaves_no_trace_in_the_network(
    make_dataset: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_at_most", lambda *_: 10**15)  # nothing is too small to measure
    measured = []
    train = memory._Trial.train
    monkeypatch.setattr(
        memory._Trial, "train", lambda self, size: measured.append(size) or train(self, size)
    )
    assert choose(make_dataset(train=16), resident() + 10**9) == Portions(500, 256)
    assert measured == [8, 8, 16]


def test_the_peak_is_seen_that_is_gone_again() -> None:
    before = resident()
    with ResidentPeak() as peak:
        block = np.ones(100 * MB, np.uint8)
        del block
    assert peak.bytes > before + 90 * MB


def test_the_default_budget_is_what_is_free_less_a_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    computer = machine.describe()
    for free, margin in ((1000 * MB, 256 * MB), (10_000 * MB, 1000 * MB)):
        monkeypatch.setattr(
            machine, "describe", lambda free=free: replace(computer, memory_available=free)
        )
        assert default_budget() == pytest.approx(resident() + free - margin, abs=20 * MB)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2GB", 2 * 10**9),
        ("1.5 gb", 1_500_000_000),
        ("1GiB", 2**30),
        ("1500M", 1_500_000_000),
        ("64KB", 64_000),
        ("800000000", 800_000_000),
    ],
)
def test_amounts_of_memory(text: str, expected: int) -> None:
    assert machine.parse_memory(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "2 XB", "1e9", "2GB more", "0x10"])
def test_what_is_no_amount_of_memory(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 2GB"):
        machine.parse_memory(text)


def test_a_training_keeps_to_its_budget(tmp_path: Path) -> None:
    # In one piece a batch of 2,000 takes more than 3 GB.
    budget = 1200 * MB
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2600, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "pictures.npz", images=images, labels=np.arange(2600) % 5)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tenfold", "train", tmp_path / "pictures.npz"),
            *("--recipe", "lab-2", "--epochs", "1", "--set", "training.batch_size=2000"),
            *("--set", "data.validation=0", "--memory", f"{budget}", "--out", tmp_path / "run"),
            "--json",
        ],
        stdout=subprocess.PIPE,
        env={**os.environ, "TENFOLD_CACHE": str(tmp_path / "cache")},
    )
    watched = psutil.Process(process.pid)
    largest = 0
    while process.poll() is None:
        try:
            largest = max(largest, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        psutil.wait_procs([watched], timeout=0.005)
    out, _ = process.communicate()
    assert process.returncode == 0
    result: dict[str, Any] = json.loads(out)
    assert max(largest, result["peak_memory_bytes"]) <= budget
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["portions"]["training"] < 2000
    assert result["steps"] == 2  # 2,080 pictures train
