"""A short campaign with every reader; `tests/fuzz/run.py` is the long one."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from . import campaign, faulty, readers
from .campaign import Campaign, Outcome
from .guard import Guard
from .worker import make_input

INPUTS = 20


def test_no_reader_gives_way_to_hostile_files(tmp_path: Path) -> None:
    inputs = dict.fromkeys(readers.READERS, INPUTS)
    inputs["model.keras"] = 6  # each takes a tenth of a second, once TensorFlow is there
    outcomes = Campaign(tmp_path, seed=0, jobs=2).run(inputs)
    found = [line for outcome in outcomes.values() for line in outcome.found]
    assert not found, found
    for name, outcome in outcomes.items():
        assert outcome.refused + outcome.accepted == outcome.inputs, name
        assert outcome.refused, f"{name}: nothing hostile"
        assert outcome.accepted, f"{name}: nothing near to a good file"


def test_an_input_is_made_anew_from_its_number() -> None:
    for name in ("tar", "cifar pickle", "recipe"):
        reader = readers.READERS[name]
        seeds = reader.seeds()
        inputs = [make_input(reader, seeds, 3, number) for number in range(30)]
        assert inputs == [make_input(reader, reader.seeds(), 3, number) for number in range(30)]
        assert len({hostile.content for hostile in inputs}) > 25


# --- The campaign itself: faults that it must find -----------------------------------------------


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    (tmp_path / "folder").mkdir()
    (tmp_path / "outside").mkdir()
    return Guard(tmp_path / "folder", tmp_path / "outside")


@pytest.mark.parametrize(
    ("act", "event"),
    [
        (lambda folder: os.system("true"), "os.system"),
        (lambda folder: subprocess.run(["true"], check=True), "subprocess.Popen"),
        (lambda folder: exec("1"), "exec"),
        (lambda folder: __import__("this_is_no_module"), "import"),
        (lambda folder: socket.socket().close(), "socket"),
        (lambda folder: (folder.parent / "x").write_text(""), "open"),
        (lambda folder: (folder / ".." / "x").write_text(""), "open"),
        (lambda folder: (folder.parent / "secret").read_text(), "open"),
        (lambda folder: (folder.parent / "outside/x").touch(), "open"),
        (lambda folder: (folder.parent / "y").mkdir(), "os.mkdir"),
        (lambda folder: tempfile.mkdtemp(dir=folder.parent), "tempfile.mkdtemp"),
    ],
)
def test_what_a_reader_has_no_reason_for_is_noted(
    guard: Guard, tmp_path: Path, act: Callable[[Path], object], event: str
) -> None:
    (tmp_path / "secret").write_text("")
    with guard.watching() as seen, suppress(ImportError):
        act(tmp_path / "folder")
    assert any(line.startswith(event) for line in seen), seen


def test_what_lies_outside_is_noted_however_it_came_there(guard: Guard, tmp_path: Path) -> None:
    with guard.watching() as seen:
        pass
    assert seen == []
    (tmp_path / "outside" / "x").touch()  # as from C, of which Python hears nothing
    with guard.watching() as seen:
        pass
    assert seen == ["left x outside the folder"]


def test_reading_and_writing_in_the_folder_is_no_fault(guard: Guard, tmp_path: Path) -> None:
    with guard.watching() as seen:
        (tmp_path / "folder" / "x").write_text("1")
        assert (tmp_path / "folder" / "x").read_text() == "1"
        Path(__file__).read_bytes()
    assert seen == []


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Outcome]]:
    """Every reader at fault, in as few processes as that takes."""
    kept = tmp_path_factory.mktemp("kept")
    inputs = {name: 10 if name in ("hangs", "dies") else 30 for name in faulty.READERS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(campaign, "HANG", 2)
        return kept, Campaign(kept, seed=5, jobs=1).run(inputs)


@pytest.mark.parametrize(
    ("name", "defect"),
    [
        ("hangs", "hang"), ("dies", "died with 3"), ("grows", "memory"), ("escapes", "did open"),
        ("runs", "did subprocess.Popen"), ("raises", "KeyError at faulty.py"),
    ],
)  # fmt: skip
def test_a_campaign_finds_a_reader_at_fault_and_goes_on(
    faults: tuple[Path, dict[str, Outcome]], name: str, defect: str
) -> None:
    kept, outcomes = faults
    outcome = outcomes[name]
    assert outcome.defects
    assert all(str(line["defect"]).startswith(defect) for line in outcome.found), outcome.found
    assert (kept / str(outcome.found[0]["file"])).read_bytes() == b"hostile"
    # What grows, escapes or runs something is read to its end all the same.
    read = outcome.refused + outcome.accepted
    unread = outcome.defects if name in ("hangs", "dies", "raises") else 0
    assert read + unread == outcome.inputs


def test_a_refusal_is_no_fault(faults: tuple[Path, dict[str, Outcome]]) -> None:
    outcome = faults[1]["refuses"]
    assert (outcome.defects, outcome.found) == (0, [])
    assert outcome.refused + outcome.accepted == outcome.inputs
    assert outcome.refused


def test_growth_is_seen_however_large_the_campaigns_own_process_is(tmp_path: Path) -> None:
    b"x" * (1200 << 20)  # the kernel hands this peak, as ru_maxrss, on to what is started from here
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(campaign, "HANG", 4)
        outcome = Campaign(tmp_path, seed=5, jobs=1).run({"grows": 30})["grows"]
    assert outcome.defects
