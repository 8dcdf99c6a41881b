"""``tenfold doctor``."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Self

import typer

from tenfold.cli import _console
from tenfold.cli._console import log, say, say_json
from tenfold.cli._format import counted
from tenfold.cli._options import JsonOption, RecipeOption

if TYPE_CHECKING:
    from tenfold.api.doctor import Examination, Place
    from tenfold.training.speed import Range, Speed

_COLUMN = 14


def doctor(
    recipe: RecipeOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the speed test.")] = False,
    json: JsonOption = False,
) -> None:
    """Look at this computer, and measure how fast it trains.

    The speed test trains for some seconds on made-up pictures of 32x32, and estimates from that how
    long the whole of CIFAR-10 takes.

    Example: tenfold doctor --quick
    """
    from tenfold.api import default_recipe
    from tenfold.api.doctor import examine, problems_of_speed
    from tenfold.recipe import load_recipe

    chosen = load_recipe(recipe or default_recipe("cifar10"))
    found = examine()
    problems, speed = list(found.problems), None
    if not json:
        _say_examination(found)
    if not quick:
        with _Countdown() as countdown:
            from tenfold.training.speed import measure_speed

            speed = measure_speed(chosen, progress=countdown.show)
        problems += problems_of_speed(found, speed)
    if json:
        say_json({**asdict(found), "speed": speed and asdict(speed), "problems": problems})
        return
    if speed is not None:
        _say_speed(speed)
    say("")
    for problem in problems:
        say(f"problem: {problem}")
    if not problems:
        say("no problems found")


class _Countdown(AbstractContextManager["_Countdown"]):
    """What is being done and for how long yet: moving on a terminal, a line for each elsewhere."""

    def __init__(self) -> None:
        self._task = ""
        self._until = math.inf
        self._status = _console.ERR.status("starting TensorFlow", spinner="line")

    def __enter__(self) -> Self:
        if _console.ERR.is_interactive:
            self._status.start()
        else:
            log("measuring how fast this computer trains")
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def show(self, task: str, seconds: float) -> None:
        """Say what is being done, for how many seconds more."""
        left = "" if math.isinf(seconds) else f", {math.ceil(seconds)} s left"
        if _console.ERR.is_interactive:
            self._status.update(f"{task}{left}")


def _say_examination(found: Examination) -> None:
    computer = found.machine
    _say("computer", f"{computer.cpu}, {computer.system}")
    quota = f", {found.core_quota:g} cores' worth of time" if found.core_quota else ""
    _say("cores", f"{computer.cores} of {computer.cores_total} for this process{quota}")
    _say("instructions", ", ".join(computer.instruction_sets) or "not told by this system")
    limit = f", limited to {_size(found.memory_limit)}" if found.memory_limit else ""
    free, total = _size(computer.memory_available), _size(computer.memory_total)
    _say("memory", f"{free} free of {total}{limit}")
    _say("precision", f"{found.precision}: {found.precision_reason}")
    _say("threads", f"{found.threads}: {found.threads_reason}")
    _say("cache", f"{_place(found.cache)}, {counted(found.stores, 'decoded source')}")
    _say("runs", _place(found.runs))
    _say("CIFAR-10", _cifar10(found))
    _say("versions", ", ".join(f"{name} {version}" for name, version in found.versions.items()))


def _cifar10(found: Examination) -> str:
    cifar10 = found.cifar10
    if cifar10.archive is not None:
        decoded = "decoded" if cifar10.stores else "to be decoded by the first training"
        return f"{cifar10.archive}, {decoded}"
    places = " and ".join(cifar10.looked_at)
    return f"not at {places}; tenfold data prepare cifar10 downloads it"


def _place(place: Place) -> str:
    free = f", {_size(place.free)} free" if place.free is not None else ""
    return f"{place.path}, {_size(place.size)}{free}"


def _say_speed(speed: Speed) -> None:
    say("")
    rate, whole = speed.images_per_second, speed.seconds
    _say("matrices", f"{speed.matrix_gflops:,.0f} GFLOP/s in {speed.precision}")
    _say(
        speed.recipe,
        f"{_range(rate, lambda value: f'{value:,.0f}')} images/s, {speed.step_gflops:,.0f} GFLOP/s "
        f"({speed.step_gflops / speed.matrix_gflops:.0%} of that), over "
        f"{counted(speed.steps, 'step')} of {speed.batch_size}",
    )
    _say(
        "all CIFAR-10",
        f"{counted(speed.epochs, 'epoch')} of {speed.pictures:,} pictures in about "
        f"{_range(whole, _duration)}, in {_size(speed.peak_memory_bytes)} of memory",
    )


def _say(name: str, text: str) -> None:
    say(f"{name:<{_COLUMN}}{text}")


def _range(figure: Range, form: Callable[[float], str]) -> str:
    return f"{form(figure.middle)} ({form(figure.low)} to {form(figure.high)})"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
