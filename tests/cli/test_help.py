"""Help: one page for all, an example for each command, and lines that fit."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest

from tenfold.cli import _completion
from tenfold.cli._commands import COMMANDS
from tenfold.cli._tree import tree

from .conftest import Invoke


def every_command() -> dict[str, Any]:
    """Each command that does something, by the words that call it."""
    found: dict[str, Any] = {}
    for name, command in tree().commands.items():
        below = getattr(command, "commands", None)
        found |= {f"{name} {n}": c for n, c in below.items()} if below else {name: command}
    return found


EVERY_COMMAND = every_command()


def test_the_commands_are_listed_in_the_order_of_work(tenfold: Invoke) -> None:
    out = tenfold("--help").out
    listed = re.findall(r"^  ([a-z]+)  +([A-Z].*)$", out, re.MULTILINE)
    assert listed == [(name, entry.summary) for name, entry in COMMANDS.items()]
    work = ["train", "evaluate", "predict", "export", "serve", "data", "runs", "recipes", "doctor"]
    assert [name for name, _ in listed] == [name for name in work if name in COMMANDS]
    assert COMMANDS.keys() <= set(work)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_listed_with_the_first_line_of_its_help(name: str) -> None:
    first = tree().commands[name].help.partition("\n\n")[0]
    assert COMMANDS[name].summary == " ".join(first.split())


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_the_example_of_a_command_is_one_that_it_takes(name: str) -> None:
    _, mark, example = EVERY_COMMAND[name].help.partition("Example: tenfold ")
    assert mark, "there is none"
    words = shlex.split(example)
    command, context = tree(), None
    while hasattr(command, "commands"):
        context = command.make_context(words[0], words[:1], parent=context, resilient_parsing=True)
        command, words = command.commands[words[0]], words[1:]
    assert command.name == name.split()[-1]
    command.make_context(command.name, words, parent=context)  # raises where it is refused


def test_the_example_of_the_first_page_is_taken(tenfold: Invoke) -> None:
    (example,) = re.findall(r"Example: tenfold (.*)", tenfold().out)
    name, *words = shlex.split(example)
    tree().commands[name].make_context(name, words)


def test_the_example_is_in_one_piece(tenfold: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    example = EVERY_COMMAND["train"].help.partition("Example: ")[2].strip()
    assert f"\n  Example: {example}\n" in tenfold("train", "--help").out


@pytest.mark.parametrize("arguments", [[], ["train"], ["data"], ["runs", "compare"]])
@pytest.mark.parametrize("columns", [40, 80, 100, 200])
def test_lines_fit_the_terminal(
    tenfold: Invoke, monkeypatch: pytest.MonkeyPatch, arguments: list[str], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = tenfold(*arguments, "--help").out.splitlines()
    widest = max(len(line) for line in lines if "Example: " not in line)
    assert widest <= min(columns, 100)
    assert widest > min(columns, 100) * 0.6 or arguments == ["runs", "compare"]


@pytest.mark.parametrize("arguments", [[], ["train"], ["data"], ["runs", "show"]])
def test_help_can_be_asked_for_in_three_ways(tenfold: Invoke, arguments: list[str]) -> None:
    out = tenfold(*arguments, "--help").out
    assert out == tenfold(*arguments, "-h").out == tenfold("help", *arguments).out


def test_help_on_what_there_is_not(tenfold: Invoke) -> None:
    outcome = tenfold("help", "trian")
    assert outcome.code == 2
    assert "did you mean 'train'" in outcome.err.lower()


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_value_has_a_name_and_every_parameter_a_line(name: str) -> None:
    for param in EVERY_COMMAND[name].params:
        assert param.help, param.name
        if not getattr(param, "is_flag", False):
            metavar = param.metavar.strip("[].")
            assert "|" in metavar or metavar in _completion._VALUES, param.name


def test_options_that_belong_together_stand_together(tenfold: Invoke) -> None:
    out = tenfold("train", "--help").out
    recipe, options = out.index("\nRecipe:"), out.index("\nOptions:")
    chosen, others = out[recipe:options], out[options:]
    assert all(f"{option} " in chosen for option in ("--recipe", "--set", "--epochs", "--seed"))
    assert all(f"{option} " in others for option in ("--out", "--mirror", "--json", "--help"))


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"], ["--version"]])
def test_the_first_page_imports_next_to_nothing(arguments: list[str]) -> None:
    heavy = ["typer", "rich", "pydantic", "numpy", "importlib.metadata", "inspect", "subprocess"]
    program = (
        "import sys, json; from tenfold import cli; code = cli.invoke(json.loads(sys.argv[1]));"
        f"print([name for name in {heavy} if name in sys.modules], code, file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stderr == "[] 0\n"


@pytest.mark.parametrize("name", ["train", "data", "doctor"])
def test_help_on_a_command_needs_no_more_than_the_parser(name: str) -> None:
    heavy = ["rich", "pydantic", "numpy", "importlib.metadata", "keras", "tensorflow"]
    program = (
        "import sys; from tenfold import cli; code = cli.invoke([sys.argv[1], '--help']);"
        f"print([name for name in {heavy} if name in sys.modules], code, file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, name], capture_output=True, text=True, check=True
    )
    assert process.stderr == "[] 0\n"
