"""Curves and confusion matrices are drawn whatever the training left behind."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from tenfold.errors import OutputError
from tenfold.evaluation import Evaluation, draw_confusion, draw_curves

TEST = Evaluation(("cat", "dog"), (40, 60), ((30, 10), (15, 45)), 0.6)


def epoch(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "event": "epoch",
        "epoch": number,
        "step": number * 10,
        "loss": 1.0 / number,
        "accuracy": 1.0 - 0.5 / number,
        "validation_loss": 1.2 / number,
        "validation_accuracy": 0.9 - 0.5 / number,
    } | changes


def step(number: int) -> dict[str, Any]:
    return {
        "event": "step", "step": number, "epoch": number / 10, "loss": 2.0, "accuracy": 0.1
    }  # fmt: skip


def without_validation(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if not key.startswith("validation")}


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved, to look at what is drawn in them."""
    saved: list[Figure] = []
    save = Figure.savefig

    def remember(self: Figure, *arguments: Any, **settings: Any) -> None:
        saved.append(self)
        save(self, *arguments, **settings)

    monkeypatch.setattr(Figure, "savefig", remember)
    return saved


def curve(axes: Axes, label: str) -> np.ndarray:
    (line,) = [line for line in axes.get_lines() if line.get_label() == label]
    return np.asarray(line.get_xydata())


def labels(axes: Axes) -> list[str]:
    return axes.get_legend_handles_labels()[1]


def test_curves_hold_what_was_recorded(tmp_path: Path, figures: list[Figure]) -> None:
    metrics = [step(5), epoch(1), step(15), epoch(2), {"event": "test", "accuracy": 0.75}]
    draw_curves(metrics, tmp_path / "curves.png", title="lab-2 on digits", test=TEST)
    with Image.open(tmp_path / "curves.png") as image:
        assert image.format == "PNG"
    (figure,) = figures
    assert figure.get_suptitle() == "lab-2 on digits"
    loss, accuracy = figure.axes
    np.testing.assert_allclose(curve(loss, "train"), [(1, 1.0), (2, 0.5)])
    np.testing.assert_allclose(curve(loss, "validation"), [(1, 1.2), (2, 0.6)])
    np.testing.assert_allclose(curve(loss, "train, by step"), [(0.5, 2.0), (1.5, 2.0)])
    np.testing.assert_allclose(curve(loss, "test: 0.600"), [(2, 0.6)])
    np.testing.assert_allclose(curve(accuracy, "train"), [(1, 0.5), (2, 0.75)])
    np.testing.assert_allclose(curve(accuracy, "validation"), [(1, 0.4), (2, 0.65)])
    low, high = TEST.interval
    assert f"test: 75.0% (95%: {low:.1%} to {high:.1%})" in labels(accuracy)


def test_the_test_accuracy_stands_at_the_last_epoch_with_its_interval(
    tmp_path: Path, figures: list[Figure]
) -> None:
    draw_curves([epoch(1), epoch(2)], tmp_path / "curves.png", title="", test=TEST)
    (bar,) = figures[0].axes[1].containers
    point, _, (whisker,) = bar.lines
    np.testing.assert_allclose(point.get_xydata(), [(2, 0.75)])
    np.testing.assert_allclose(whisker.get_segments()[0][:, 1], TEST.interval)


def test_one_epoch_without_validation_or_test(tmp_path: Path, figures: list[Figure]) -> None:
    draw_curves([without_validation(epoch(1))], tmp_path / "curves.png", title="lab-1 on digits")
    assert [labels(axes) for axes in figures[0].axes] == [["train"], ["train"]]


def test_a_loss_that_is_not_finite_leaves_a_gap(tmp_path: Path, figures: list[Figure]) -> None:
    metrics = [epoch(1), epoch(2, loss=math.nan), epoch(3, loss=math.inf), epoch(4)]
    draw_curves(metrics, tmp_path / "curves.png", title="")
    np.testing.assert_allclose(
        curve(figures[0].axes[0], "train")[:, 1], [1.0, math.nan, math.nan, 0.25]
    )


@pytest.mark.parametrize(
    "metrics", [[], [without_validation(epoch(1, loss=math.nan, accuracy=math.nan))]]
)
def test_nothing_to_draw_is_said_in_the_picture(
    tmp_path: Path, figures: list[Figure], metrics: list[dict[str, Any]]
) -> None:
    draw_curves(metrics, tmp_path / "curves.png", title="")
    for axes in figures[0].axes:
        assert [text.get_text() for text in axes.texts] == ["no finite values"]


def test_a_loss_that_explodes_gets_a_log_scale(tmp_path: Path, figures: list[Figure]) -> None:
    for largest in (2.0, 20_000.0):
        draw_curves([epoch(1, loss=largest), epoch(2)], tmp_path / "curves.png", title="")
    assert [figure.axes[0].get_yscale() for figure in figures] == ["linear", "log"]
    assert figures[1].axes[1].get_yscale() == "linear"


def test_a_confusion_matrix_shows_shares_and_counts(tmp_path: Path, figures: list[Figure]) -> None:
    draw_confusion(TEST, tmp_path / "confusion.png", title="lab-2 on pets")
    axes = figures[0].axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0.25, 0.75]])
    assert [text.get_text() for text in axes.texts] == ["30", "10", "15", "45"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert axes.get_title().startswith("lab-2 on pets\naccuracy 75.0%")


def test_many_classes_and_an_empty_class_are_drawn(tmp_path: Path, figures: list[Figure]) -> None:
    classes = 100
    counts = (0, *[2] * (classes - 1))
    confusion = tuple(
        tuple(counts[row] * (row == column) for column in range(classes)) for row in range(classes)
    )
    many = Evaluation(tuple(map(str, range(classes))), counts, confusion, 0.1)
    draw_confusion(many, tmp_path / "confusion.png", title="cifar100")
    assert len(figures[0].axes[0].texts) == 0
    assert figures[0].axes[0].images[0].get_array()[0].sum() == 0


def test_more_names_than_there_is_room_for_are_left_out(
    tmp_path: Path, figures: list[Figure]
) -> None:
    none = ((0,) * 101,) * 101
    draw_confusion(Evaluation(("x",) * 101, (1,) * 101, none, 0.1), tmp_path / "c.png", title="")
    assert "x" not in [label.get_text() for label in figures[0].axes[0].get_yticklabels()]


def test_names_are_neither_formulae_nor_bound_to_one_script(tmp_path: Path) -> None:
    names = Evaluation(("$\\frac{", "猫"), TEST.class_counts, TEST.confusion, 0.6)
    draw_confusion(names, tmp_path / "confusion.png", title="$\\frac{ on 猫")
    draw_curves([epoch(1)], tmp_path / "curves.png", title="$\\frac{$ on 猫", test=names)


def test_a_place_that_takes_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "curves.png").mkdir()
    with pytest.raises(OutputError, match=r"curves.png"):
        draw_curves([epoch(1)], tmp_path / "curves.png", title="")


def test_drawing_needs_no_display_and_importing_is_cheap(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
import tenfold.evaluation as evaluation
heavy = [name for name in ("matplotlib", "sklearn", "scipy", "tensorflow") if name in sys.modules]
assert heavy == [], heavy
evaluation.draw_curves([], Path({str(tmp_path / "curves.png")!r}), title="")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={"MPLBACKEND": "tkagg"})
