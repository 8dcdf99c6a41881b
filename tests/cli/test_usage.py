"""Wrong options and arguments, help, and what the command line costs before it works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tenfold as package
from tenfold import cli

from .conftest import COMMAND, Invoke, arrays

Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("trian", "no such command 'trian'. Did you mean 'train'? See tenfold --help"),
        ("data inof", "no such command 'inof'. Did you mean 'info'? See tenfold data --help"),
        ("runs nope", "no such command 'nope'. See tenfold runs --help"),
        (
            "train --epoch 3",
            "no such option: --epoch (did you mean '--epochs'?). See tenfold train",
        ),
        ("--foo", "no such option: --foo. See tenfold --help"),
        ("train --epochs", "option '--epochs' requires an argument"),
        ("train --epochs many", "'--epochs': 'many' is not a whole number. See tenfold train"),
        ("train --rows 1.5", "'--rows': '1.5' is not a whole number"),
        ("train --time 0", "'--time': '0' is no time to train for; write it like 90s, 10m or"),
        ("train --time soon", "'soon' is no time to train for; write it like 90s, 10m or 1h30m"),
        ("data show --seed -1", "'--seed': -1 is not a whole number of at least 0"),
        (
            "data show --per-class 0",
            "'--per-class': 0 is not a whole number of at least 1 and at most 100",
        ),
        ("data show --per-class x", "'--per-class': 'x' is not a whole number of at least 1"),
        ("recipes show", "missing argument 'RECIPE'. See tenfold recipes show --help"),
        ("runs compare", "missing argument 'RUN'"),
        ("train digits cifar10", "unexpected extra argument"),
        ("evaluate --json=yes", "'--json' does not take a value"),
    ],
)
def test_a_wrong_argument_gives_one_line_with_the_mend(
    refused: Refused, arguments: str, message: str
) -> None:
    line = refused(*arguments.split())
    assert message in line
    assert "--help" in line


def test_an_empty_argument_is_a_mistake(refused: Refused) -> None:
    assert "an argument is empty" in refused("train", "")
    assert "an argument is empty" in refused("evaluate", "--on", "")


def test_one_run_is_nothing_to_compare(refused: Refused) -> None:
    assert "two runs or more are compared" in refused("runs", "compare", "latest")


COMMANDS = [
    "train",
    "evaluate",
    "predict",
    "export",
    "serve",
    "data info",
    "data show",
    "data prepare",
    "data augment",
    "runs list",
    "runs show",
    "runs compare",
    "runs report",
    "recipes list",
    "recipes show",
    "doctor",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(tenfold: Invoke, command: str) -> None:
    outcome = tenfold(*command.split(), "--help")
    assert outcome.code == 0
    assert outcome.err == ""
    assert f"Usage: tenfold {command}" in outcome.out
    assert f"Example: tenfold {command}" in outcome.out
    assert outcome.out == tenfold(*command.split(), "-h").out


def test_the_description_names_every_option_and_no_other(tenfold: Invoke) -> None:
    described = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text("utf-8")
    offered = {"--help", "--version", "--install-completion", "--show-completion"}
    for command in COMMANDS:
        usage = tenfold(*command.split(), "--help").out
        offered |= set(re.findall(r"(?<!\S)--[a-z][a-z-]+", usage))
        assert re.search(rf"tenfold {command}|`{command.split()[-1]}`", described)
    mistaken = {"--epoch"}  # shown with the line that it is answered with
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", described)) - mistaken == offered


@pytest.mark.parametrize("group", [[], ["data"]])
def test_a_group_alone_explains_itself(tenfold: Invoke, group: list[str]) -> None:
    alone = tenfold(*group)
    assert alone.code == 0
    assert alone.out == tenfold(*group, "--help").out


def test_help_names_no_type_for_a_flag(tenfold: Invoke) -> None:
    assert "bool" not in tenfold("train", "--help").out + tenfold("--help").out


def test_the_version_is_printed(tenfold: Invoke) -> None:
    assert tenfold("--version").out == f"{package.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--help"], ["--version"], ["recipes"], ["runs"]]
)
def test_quick_commands_import_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    heavy = ["tensorflow", "keras", "matplotlib", "sklearn", "scipy", "pyarrow"]
    program = (
        "import sys, json; from tenfold import cli; code = cli.invoke(json.loads(sys.argv[1]));"
        f"print([name for name in {heavy} if name in sys.modules], code, file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, json.dumps(arguments)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stderr == "[] 0\n"


def test_a_pipe_gets_plain_lines_with_every_name_whole(tenfold: Invoke, here: Path) -> None:
    run = here / "runs" / ("long-" * 30 + "name")
    run.mkdir(parents=True)
    assert tenfold("recipes", "show", "lab-1").code == 0
    (run / "recipe.toml").write_text(tenfold("recipes", "show", "lab-1").out)
    listed = tenfold("runs").out
    assert f"runs/{run.name}  lab-1   unfinished" in listed
    assert "\x1b" not in listed
    assert max(map(len, tenfold("recipes").out.splitlines())) > 80


def test_the_name_of_a_class_is_printed_as_it_is(tenfold: Invoke, here: Path) -> None:
    names = np.array(["[bold]loud[/bold]", "\x1b[31mred\nend"])
    np.savez(here / "named.npz", **arrays(), class_names=names)
    out = tenfold("data", "info", "named.npz").out
    assert "[bold]loud[/bold]" in out
    assert "\\x1b[31mred\\nend" in out
    assert "\x1b" not in out


def test_an_unexpected_error_is_our_fault(tenfold: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("tenfold.recipe.shipped", broken)
    outcome = tenfold("recipes")
    assert outcome.code == 1
    assert "RuntimeError: a bug" in outcome.err
    assert outcome.err.endswith(
        "tenfold: this is a fault of ours; please report it with the lines above\n"
    )


def test_ctrl_c_anywhere_gives_130(tenfold: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tenfold.recipe.shipped", interrupted)
    outcome = tenfold("recipes")
    assert (outcome.code, outcome.err) == (130, "tenfold: interrupted\n")


def test_the_console_script_and_the_module_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["tenfold", "--nonsense"])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    process = subprocess.run([*COMMAND, "--nonsense"], capture_output=True, check=False)
    assert process.returncode == 2


def test_a_terminal_of_another_encoding_gets_escapes(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('name = "лаб"', encoding="utf-8")
    process = subprocess.run(
        [*COMMAND, "recipes", "show", "recipe.toml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert rb'name = "\u043b\u0430\u0431"' in process.stdout
