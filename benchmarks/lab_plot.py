"""Draw what `lab_causes.py` measured.

python benchmarks/lab_plot.py [FILE.svg|FILE.png]
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import report

_INK = "#7a7a7a"  # can be read on white and on a dark page alike, where nothing lies behind it
_HONEST, _RELAPSE, _FALSE = "#3b8fc4", "#d5751f", "#c060ae"
_CHANCE = 0.1


def draw(measured: dict[str, dict[str, Any]], path: Path) -> Path:
    """Draw accuracy, time and memory, a line for each step; the path."""
    steps = [(name, one) for name, one in measured.items() if one["results"]]
    # Texts stay texts, and the same figures give the same bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lab", "font.size": 10}):
        figure = Figure(figsize=(11, 0.42 * len(steps) + 1.3), layout="constrained")
        accuracy, seconds, memory = figure.subplots(
            1, 3, sharey=True, gridspec_kw={"width_ratios": [4, 2, 2]}
        )
        for place, (name, one) in enumerate(steps):
            color = _RELAPSE if name.endswith("back") else _HONEST
            _accuracy(accuracy, place, one["results"], color)
            took = statistics.median(_whole_seconds(result) for result in one["results"])
            _bar(seconds, place, took, _duration(took, one["results"][0]), color)
            peak = statistics.median(result["peak_memory_bytes"] for result in one["results"])
            _bar(memory, place, peak / 1e6, f"{peak / 1e6:,.0f}", color)
        accuracy.axvline(_CHANCE, color=_INK, linewidth=1, linestyle=":")
        accuracy.set_yticks(range(len(steps)), [_label(name, one) for name, one in steps])
        accuracy.invert_yaxis()
        accuracy.set_xlim(0, 1.12)
        accuracy.set_xticks([0, 0.25, 0.5, 0.75, 1])
        accuracy.xaxis.set_major_formatter(PercentFormatter(xmax=1.0))
        accuracy.set_title("accuracy on unseen pictures; ◆ on those trained on\n(dotted: chance)")
        seconds.set_xscale("log")
        seconds.set_title("training time,\nlog scale")
        memory.set_title("peak memory,\nMB")
        for axes in (accuracy, seconds, memory):
            _style(axes)
        for axes in (seconds, memory):
            axes.set_xticks([])
            axes.minorticks_off()
            axes.spines["bottom"].set_visible(False)
            axes.margins(x=0.45)
        date = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, transparent=True, metadata=date, dpi=110)
    return path


def _label(name: str, one: dict[str, Any]) -> str:
    mark = {"published": ""}.get(name, name if name.endswith("back") else f"+ {name}")
    return f"{mark}: {one['title']}".removeprefix(": ")


def _accuracy(axes: Axes, place: int, results: list[dict[str, Any]], color: str) -> None:
    unseen = [result["unseen"] for result in results]
    mean = statistics.mean(unseen)
    axes.barh(place, mean, color=color, height=0.6)
    axes.plot(unseen, [place] * len(unseen), "|", color=_INK, markersize=14, markeredgewidth=1.5)
    axes.text(max(unseen) + 0.02, place, f"{mean:.1%}", va="center", color=_INK)
    if "test" in results[-1]:
        false = results[-1]["test"]
        axes.plot(false, place, "D", color=_FALSE, markersize=7)
        # Left of the mark where there is room, else beyond the text of the bar.
        if false > max(unseen) + 0.5:
            axes.text(false - 0.03, place, f"{false:.1%}", color=_FALSE, ha="right", va="center")
        else:
            beyond = max(false, max(unseen)) + 0.2
            axes.text(beyond, place, f"◆ {false:.1%}", color=_FALSE, va="center")


def _cut_short(result: dict[str, Any]) -> bool:
    return result["steps"] < result.get("whole_steps", 0)


def _whole_seconds(result: dict[str, Any]) -> float:
    if _cut_short(result):
        return result["seconds_a_step"] * result["whole_steps"]
    return result["seconds"]


def _duration(seconds: float, result: dict[str, Any]) -> str:
    about = "≈ " if _cut_short(result) else ""
    return about + (f"{seconds / 3600:.1f} h" if seconds > 3600 else f"{seconds:,.0f} s")


def _bar(axes: Axes, place: int, value: float, text: str, color: str) -> None:
    axes.barh(place, value, color=color, height=0.6)
    axes.annotate(text, (value, place), (4, 0), textcoords="offset points", va="center", color=_INK)


def _style(axes: Axes) -> None:
    axes.tick_params(colors=_INK, left=False)
    axes.title.set_color(_INK)
    axes.title.set_fontsize(10)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_INK)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else report.FOLDER / "lab_causes.svg"
    print(draw(report.load("lab_causes")["measured"], target))
