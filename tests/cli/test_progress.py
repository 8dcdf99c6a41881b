"""What is shown while a source is downloaded and decoded."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from tenfold.cli import _console
from tenfold.cli._progress import Preparation


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal is sent."""
    sent = io.StringIO()
    monkeypatch.setattr(_console, "ERR", Console(file=sent, force_terminal=True, width=100))
    return sent


def test_each_part_leaves_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    with Preparation() as preparation:
        preparation.download(500, 1000)
        preparation.download(1000, 1000)
        preparation.decode(7, None)
        preparation.decode(1500, None)
    out, err = capfd.readouterr()
    assert out == ""
    assert re.sub(r"\d+\.\d s", "T s", err).splitlines() == [
        "downloaded 1,000 bytes in T s",
        "prepared 1,500 pictures in T s",
    ]


def test_nothing_done_is_nothing_said(capfd: pytest.CaptureFixture[str]) -> None:
    with Preparation() as preparation:
        preparation.close()
    assert capfd.readouterr() == ("", "")


def test_a_line_is_left_once(capfd: pytest.CaptureFixture[str]) -> None:
    with Preparation() as preparation:
        preparation.decode(3, 3)
        preparation.close()
    assert capfd.readouterr().err.count("\n") == 1


def test_a_failure_leaves_no_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), Preparation() as preparation:
        preparation.decode(3, 10)
        raise RuntimeError
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_a_bar_for_each_and_takes_it_away(terminal: io.StringIO) -> None:
    with Preparation() as preparation:
        preparation.download(500_000, 1_000_000)
        preparation.decode(30, 60)
        preparation.decode(60, 60)
    sent = terminal.getvalue()
    assert "downloading" in sent
    assert "0.5/1.0 MB" in sent
    assert "preparing pictures" in sent
    assert "60/60" in sent
    assert sent.endswith(("\x1b[2K", "\x1b[?25h"))  # the line erased, the cursor back
