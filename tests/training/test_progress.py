"""What a person watching a training sees."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator

import pytest
from rich.console import Console

from tenfold.training import progress
from tenfold.training.progress import ProgressDisplay


@pytest.fixture(autouse=True)
def _one_second_between_looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    seconds = itertools.count(1.0)

    class Clock:
        perf_counter = staticmethod(lambda: next(seconds))

    monkeypatch.setattr(progress, "time", Clock)
    return


def watch(terminal: bool, *, validation: bool, width: int = 200) -> str:
    """Everything that two epochs of two steps print."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=width, color_system=None)
    display = ProgressDisplay(console, epochs=2, steps_per_epoch=2, pictures=3000)
    display.on_train_begin()
    for epoch in range(2):
        display.on_epoch_begin(epoch)
        for batch in range(2):
            display.on_train_batch_end(batch, {"loss": 1.25, "accuracy": 0.5})
        logs = {"loss": 1.5 - epoch, "accuracy": 0.5}
        if validation:
            logs |= {"val_loss": 2.5, "val_accuracy": 0.25}
        display.on_epoch_end(epoch, logs)
    display.on_train_end()
    display.close()  # as after an interruption
    return screen.getvalue()


def test_without_a_terminal_each_epoch_leaves_one_plain_line() -> None:
    first, second = watch(terminal=False, validation=True).splitlines()
    # The clock says 1 at the epoch's begin, and 2 and 3 after its steps.
    assert " ".join(first.split()) == (
        "epoch 1/2 loss 1.500 accuracy 50.0% validation loss 2.500 validation accuracy 25.0% "
        "1,500 images/s 2.0 s"
    )
    assert second.startswith("epoch 2/2  loss 0.500")


def test_without_a_validation_split_its_figures_are_left_out() -> None:
    assert "validation" not in watch(terminal=False, validation=False)


def test_on_a_terminal_a_bar_shows_the_figures_so_far_and_goes_at_the_end() -> None:
    shown = watch(terminal=True, validation=True)
    assert "loss 1.250  accuracy 50.0%" in shown
    assert "epoch 2/2" in shown
    assert "━" in shown
    assert "━" not in shown.rpartition("\x1b[2K")[2]  # what stands there after the last erasure
    assert shown.count("images/s") == 2


def test_a_display_that_never_began_can_be_closed() -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    ProgressDisplay(console, epochs=1, steps_per_epoch=1, pictures=1).close()


@pytest.mark.parametrize(
    ("width", "shown", "left_out"),
    [
        (40, ["epoch 2/2", "100%", "loss 1.250"], ["━", "accuracy 50.0%"]),
        (80, ["━", "left"], ["…"]),
    ],
)
def test_a_narrow_terminal_gets_the_essentials_in_one_line(
    width: int, shown: list[str], left_out: list[str]
) -> None:
    frames = re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", watch(True, validation=False, width=width))
    bars = [frame for frame in frames if "%" in frame and "images/s" not in frame]
    assert all(len(bar) <= width for bar in bars)
    assert all(any(text in bar for bar in bars) for text in shown)
    assert not any(text in bar for bar in bars for text in [*left_out, "…"])
