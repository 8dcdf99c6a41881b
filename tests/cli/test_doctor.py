"""What ``tenfold doctor`` says of a computer, and the mend of what stands in the way."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tenfold import cgroup, machine
from tenfold.api import _packages, default_recipe, doctor
from tenfold.data.download import ARCHIVES, OfficialArchive
from tenfold.training import speed

from .conftest import Invoke

SPEED = speed.Speed(
    recipe="lab-2",
    precision="float32",
    batch_size=128,
    steps=40,
    images_per_second=speed.Range(500.0, 600.0, 640.0),
    epochs=10,
    pictures=45_000,
    seconds=speed.Range(720.0, 760.0, 910.0),
    peak_memory_bytes=1_000_000_000,
    parameters=100,
    matrix_gflops=200.0,
    step_gflops=90.0,
)


@pytest.fixture
def sound(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the computer one without problems but for what is given."""

    def pretend(**facts: Any) -> None:
        computer = dataclasses.replace(
            machine.describe(),
            **{"cores": 2, "memory_available": 8 * 10**9, "memory_total": 9 * 10**9, **facts},
        )
        monkeypatch.setattr(machine, "describe", lambda: computer)

    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "2")
    monkeypatch.setattr(_packages, "misfits", lambda: iter(()))
    pretend()
    return pretend


def test_the_computer_is_described(tenfold: Invoke) -> None:
    out = tenfold("doctor", "--quick").out
    here = machine.describe()
    assert here.cpu in out
    assert f"cores         {here.cores} of {psutil.cpu_count()} for this process" in out
    assert f"free of {here.memory_total / 1e9:.1f} GB" in out
    assert "precision     " + ": ".join(machine.preferred_precision(here)) in out
    for name in ("python", "tenfold", "keras", "numpy"):
        assert f"{name} {machine.versions()[name]}" in out


@pytest.mark.usefixtures("sound")
def test_a_sound_computer_has_no_problems(tenfold: Invoke) -> None:
    assert tenfold("doctor", "--quick").out.splitlines()[-1] == "no problems found"
    assert tenfold("doctor", "--quick", "--json").json()["problems"] == []


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"cores": 1, "cores_total": 1}, "one core only: training takes twice as long"),
        ({"memory_available": 500_000_000}, "0.5 GB of memory is free, and a training takes about"),
        ({"cores": 1}, "TensorFlow starts 2 threads, and this process may keep 1 cores busy; set"),
    ],
)
def test_a_small_computer_is_told_of(
    tenfold: Invoke, sound: Callable[..., None], facts: dict[str, Any], problem: str
) -> None:
    sound(**facts)
    lines = tenfold("doctor", "--quick").out.splitlines()
    assert any(line.startswith(f"problem: {problem}") for line in lines), lines
    assert "no problems found" not in lines


@pytest.mark.usefixtures("sound")
def test_the_limits_of_a_container_are_told(
    tenfold: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup, "core_quota", lambda: 0.5)
    monkeypatch.setattr(cgroup, "memory_limits", lambda: iter([(4 * 10**9, 0), (2 * 10**9, 0)]))
    out = tenfold("doctor", "--quick").out
    assert "for this process, 0.5 cores' worth of time" in out
    assert "limited to 2.0 GB" in out


@pytest.mark.usefixtures("sound")
def test_a_full_disk_is_told_of(tenfold: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = doctor.shutil.disk_usage(".")
    nearly_full = usage._replace(free=200_000_000)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: nearly_full)
    (problem,) = tenfold("doctor", "--quick", "--json").json()["problems"]
    assert "0.2 GB is free at " in problem
    assert "the cache may need 0.6 GB" in problem
    assert "TENFOLD_CACHE" in problem


@pytest.mark.usefixtures("sound")
def test_a_cache_that_cannot_be_written_is_told_of(
    tenfold: Invoke, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "taken").write_text("mine")
    monkeypatch.setenv("TENFOLD_CACHE", str(here / "taken" / "cache"))
    (problem,) = tenfold("doctor", "--quick", "--json").json()["problems"]
    assert problem.startswith(f"the cache {here}/taken/cache cannot be written: {here}/taken is a")
    assert problem.endswith("name another folder in TENFOLD_CACHE")


@pytest.mark.usefixtures("sound")
def test_a_clock_that_is_behind_is_told_of(tenfold: Invoke, here: Path) -> None:
    (here / "runs" / "later").mkdir(parents=True)
    os.utime(here / "runs" / "later", (5e9, 5e9))
    (problem,) = tenfold("doctor", "--quick", "--json").json()["problems"]
    assert "and there are files of 2128-06-11; set the clock" in problem


@pytest.mark.usefixtures("sound")
def test_nothing_is_left_behind(tenfold: Invoke, here: Path) -> None:
    tenfold("doctor", "--quick")
    assert list(here.iterdir()) == []


@pytest.mark.usefixtures("sound")
def test_cifar10_is_looked_for(
    tenfold: Invoke, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> dict[str, Any]:
        return tenfold("doctor", "--quick", "--json").json()

    archive = here / ".cache" / "downloads" / "cifar-10-python.tar.gz"
    assert found()["cifar10"]["looked_at"] == [str(archive)]
    assert f"not at {archive}; tenfold data prepare" in tenfold("doctor", "--quick").out
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"half of it")
    (problem,) = found()["problems"]
    assert problem.startswith(f"{archive} does not have the official checksum; remove it")

    checksum = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(ARCHIVES, "cifar10", OfficialArchive(archive.name, checksum))
    monkeypatch.setattr(doctor, "_stores_of", lambda path, stores: 1)
    assert found()["cifar10"]["archive"] == str(archive)
    assert f"{archive}, decoded" in tenfold("doctor", "--quick").out
    monkeypatch.setenv("TENFOLD_MIRROR", str(here / "mirror"))
    assert found()["cifar10"]["looked_at"] == [str(here / "mirror" / archive.name), str(archive)]


@pytest.mark.usefixtures("sound")
def test_the_cache_is_measured(tenfold: Invoke) -> None:
    assert tenfold("data", "prepare").code == 0
    value = tenfold("doctor", "--quick", "--json").json()
    assert value["stores"] == 1
    assert value["cache"]["size"] > 1797 * 8 * 8 * 3


# The speed test


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Puts a measurement in the place of one; the recipes that were asked for."""
    asked = []

    def measure(recipe: Any, *, progress: speed.Progress) -> speed.Speed:
        asked.append(recipe.name)
        progress("training", 8.0)
        return SPEED

    monkeypatch.setattr(speed, "measure_speed", measure)
    return asked


@pytest.mark.usefixtures("sound")
def test_speed_and_estimate_are_printed(tenfold: Invoke, measured: list[str]) -> None:
    outcome = tenfold("doctor")
    assert measured == [default_recipe("cifar10")]
    assert outcome.err == "measuring how fast this computer trains\n"
    assert (
        "lab-2         600 (500 to 640) images/s, 90 GFLOP/s (45% of that), over 40 steps of 128"
        in outcome.out
    )
    assert (
        "all CIFAR-10  10 epochs of 45,000 pictures in about 13 min (12 min to 15 min), "
        "in 1.0 GB of memory" in outcome.out
    )


@pytest.mark.usefixtures("sound")
def test_json_is_all_that_is_on_stdout(tenfold: Invoke, measured: list[str]) -> None:
    value = tenfold("doctor", "--recipe", "lab-1", "--json").json()
    assert measured == ["lab-1"]
    assert value["speed"]["images_per_second"] == {"low": 500.0, "middle": 600.0, "high": 640.0}
    assert value["speed"]["seconds"]["middle"] == 760.0
    assert tenfold("doctor", "--quick", "--json").json()["speed"] is None


def test_what_a_measurement_shows_is_told_of() -> None:
    found = dataclasses.replace(
        doctor.examine(),
        machine=dataclasses.replace(machine.describe(), memory_total=10**9),
    )
    uneven = dataclasses.replace(SPEED, images_per_second=speed.Range(100.0, 400.0, 600.0))
    problems = list(doctor.problems_of_speed(found, uneven))
    assert len(problems) == 2
    assert "takes 1.0 GB of the 1.0 GB that there are" in problems[0]
    assert "the speed went between 100 and 600 images/s: other programs use" in problems[1]


# Packages


@pytest.fixture
def install(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a package that has no code, by its metadata alone."""
    monkeypatch.syspath_prepend(here / "site")

    def write(name: str, version: str, *requires: str) -> None:
        folder = here / "site" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
        (folder / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")

    return write


def test_packages_that_do_not_fit_are_told_of(install: Callable[..., None]) -> None:
    install(
        "top", "1.0", "engine>=2", "gone>1", 'never; sys_platform == "amiga"', 'e; extra == "x"'
    )
    install("engine", "2.1", "arrays<2.0", "top")
    install("arrays", "2.4")
    assert sorted(_packages.misfits("top")) == [
        "arrays is 2.4, and engine needs arrays<2.0",
        "gone is not installed, which top needs",
    ]
    assert _packages.versions("top") == {"top": "1.0", "engine": "2.1"}


def test_what_is_installed_here_fits() -> None:
    assert list(_packages.misfits()) == []
