"""What a shell offers for a line that is being typed, asked of real shells."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.cli import _completion, _shells
from tenfold.cli._completion import FILES, FOLDERS, candidates
from tenfold.data.sources import SourceName
from tenfold.models import architectures
from tenfold.recipe import shipped

from .conftest import Invoke
from .shells import EVERY, TAB, completed


def words(line: str) -> list[str]:
    """What can stand at the end of a line."""
    *before, current = line.split(" ")
    return [candidate.word for candidate in candidates(before, current)]


@pytest.fixture
def runs(here: Path) -> None:
    """Two runs, the second the newer, and a folder that is none."""
    for age, name in enumerate(["second try", "first"]):
        recipe = here / "runs" / name / "recipe.toml"
        recipe.parent.mkdir(parents=True)
        recipe.touch()
        os.utime(recipe, ns=(10**18 - age * 10**9,) * 2)
    (here / "runs" / "empty").mkdir()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tr", ["train"]),
        ("runs ", ["list", "show", "report", "compare"]),
        ("help rec", ["recipes"]),
        ("help data sh", ["show"]),
        ("--v", ["--version"]),
        ("--show-completion ", ["bash", "zsh", "fish"]),
        ("train --ep", ["--epochs"]),
        ("train --epochs 3 --ep", []),
        ("train --set seed=1 --se", ["--set", "--seed"]),
        ("train --epochs ", []),
        ("evaluate latest --on c", ["cifar10", "cifar100", ":files"]),
        ("train --recipe lab-1", ["lab-1", "lab-1-original"]),
        ("train -r lab-1-", ["lab-1-original"]),
        ("train --recipe=lab-1-", ["--recipe=lab-1-original"]),
        ("train --recipe mine", [":files"]),
        ("train --out ", [":folders"]),
        ("train --json ", ["digits", "cifar10", "cifar100", ":files"]),
        ("train -- di", ["digits", ":files"]),
        ("train --set optimizer.na", ["optimizer.name="]),
        ("train -s training.loss=d", ["training.loss=doubled-softmax"]),
        ("train --set=training.shuffle=t", ["--set=training.shuffle=true"]),
        ("train --set data.size=", ["data.size=none"]),
        ("train --set nonsense=", []),
        ("recipes show lab-2-", ["lab-2-original"]),
        ("train digits ", ["--recipe"]),
        ("nonsense ", []),
        ("runs nonsense ", []),
    ],
)
def test_the_word_at_the_cursor_is_completed(line: str, expected: list[str]) -> None:
    found = words(line)
    assert found[: len(expected)] == expected
    assert all(word.startswith((line.split(" ")[-1], ":")) for word in found)
    if line != "train digits ":
        assert found == expected


@pytest.mark.usefixtures("runs")
def test_runs_are_offered_newest_first_and_then_folders() -> None:
    assert words("runs show ") == ["latest", "runs/second try", "runs/first"]
    assert words("runs compare runs/first runs/s") == ["runs/second try"]
    assert candidates(["evaluate"], "elsewhere/") == [FOLDERS]


def test_what_is_offered_is_what_there_is() -> None:
    assert get_args(SourceName) == _completion.SOURCES
    assert words("recipes show ") == list(shipped())
    assert set(words("train --set model.name=")) == {f"model.name={n}" for n in architectures()}


def test_a_name_that_would_break_the_answer_is_left_out(here: Path) -> None:
    (here / "runs" / "two\nlines").mkdir(parents=True)
    (here / "runs" / "two\nlines" / "recipe.toml").touch()
    assert _shells.answer("fish", ["runs", "show", "runs/"]) == ""


def test_meanings_go_to_shells_that_show_them() -> None:
    summary = "Train a recipe on a source, test it, and leave a run folder."
    assert _shells.answer("zsh", ["tr"]) == f"train\t{summary}\n"
    assert _shells.answer("bash", ["tenfold tr"]) == "train\n"
    assert _shells.answer("fish", ["train", "./"]) == FILES.word + "\n"


@given(st.lists(st.text(min_size=1), max_size=3), st.text())
def test_a_line_is_split_as_the_shell_splits_it(before: list[str], current: str) -> None:
    line = "".join(shlex.quote(word) + " " for word in before)
    assert _shells._split(line) == [*before, ""]
    assert _shells._split(line + shlex.quote(current)) == [*before, current]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a 'b c", ["a", "b c"]),
        ('a "b', ["a", "b"]),
        (r"a b\ ", ["a", "b "]),
        ("a b\\", ["a", "b"]),
    ],
)
def test_a_word_may_be_unfinished(line: str, expected: list[str]) -> None:
    assert _shells._split(line) == expected


@pytest.mark.parametrize("line", ["tenfold ", "tenfold train --", "tenfold runs show "])
def test_completion_imports_nothing_heavy(here: Path, line: str) -> None:
    heavy = ["tensorflow", "keras", "numpy", "rich", "pydantic"]
    program = (
        "import sys, json; from tenfold import cli; cli.invoke(sys.argv[1:]);"
        f"print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, line],
        env={**os.environ, "_TENFOLD_COMPLETE": "bash"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(answer) > 1
    assert json.loads(answer[-1]) == []


# Real shells


@pytest.fixture
def shell(here: Path, runs: None) -> Callable[[str], str]:
    """Installs completion for a shell of a new user, and gives the path of that shell."""
    (here / "bin").mkdir()
    command = here / "bin" / "tenfold"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tenfold "$@"\n')
    command.chmod(0o755)
    for name in ("pictures", "a b"):
        (here / name).mkdir()
    (here / "pictures.zip").touch()
    (here / "mine.toml").touch()

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed")
        return path

    return find


def environment(here: Path, **more: str) -> dict[str, str]:
    home = here / "home"
    home.mkdir(exist_ok=True)
    path = f"{here / 'bin'}{os.pathsep}{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("XDG_") and k != "ZDOTDIR"}
    return {**kept, "PATH": path, "HOME": str(home), "TERM": "dumb", **more}


LINES = {
    f"tenfold trai{TAB}": "tenfold train",
    f"tenfold recipes show lab-2-{TAB}": "tenfold recipes show lab-2-original",
    f"tenfold recipes show mi{TAB}": "tenfold recipes show mine.toml",
    f"tenfold runs show runs/s{TAB}": r"tenfold runs show runs/second\ try",
    f"tenfold train dig{TAB}": "tenfold train digits",
    f"tenfold train pictures.{TAB}": "tenfold train pictures.zip",
    f"tenfold train --set optimizer.name=ad{TAB}": "tenfold train --set optimizer.name=adamw",
    f"tenfold train --set=optimizer.na{TAB}": "tenfold train --set=optimizer.name=",
    f"tenfold train --recipe=lab-2-{TAB}": "tenfold train --recipe=lab-2-original",
}


def test_bash_completes(here: Path, shell: Callable[[str], str]) -> None:
    bash = shell("bash")
    env = environment(here, SHELL=bash)
    rc = here / "home" / ".bashrc"
    rc.write_text("PS1='$ '")  # without a line break at its end
    for _ in range(2):
        installed = subprocess.run(
            [bash, "-c", "tenfold --install-completion; true"],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert installed.stdout.startswith("completion for bash is installed in "), installed
    assert rc.read_text().count("tenfold completion") == 1
    assert rc.read_text().startswith("PS1='$ '\n")

    every = {
        f"tenfold runs {EVERY}": "tenfold runs compare list report show",
        f"tenfold runs show {EVERY}": r"tenfold runs show latest runs/first runs/second\ try",
        f"tenfold train --out pi{TAB}": "tenfold train --out pictures/",
        f"tenfold train a\\ {TAB}": r"tenfold train a\ b/",
    }
    lines = {**LINES, **every}
    start = f"cd '{here}'; bind 'set enable-bracketed-paste off'"
    typed = completed([bash, "--noprofile", "-i"], start, list(lines), here, env)
    assert typed == list(lines.values())


def test_zsh_completes(here: Path, shell: Callable[[str], str]) -> None:
    zsh = shell("zsh")
    env = environment(here, SHELL=zsh)
    subprocess.run([zsh, "-c", "tenfold --install-completion; true"], env=env, check=True)
    start = "PROMPT='$ '; unsetopt zle_bracketed_paste 2>/dev/null"
    # Without the user's files, but for what was installed.
    start += f"; cd '{here}'; autoload -Uz compinit; compinit -u; . ~/.zshrc"
    lines = dict(list(LINES.items())[3:])
    typed = completed([zsh, "-f", "-i"], start, list(lines), here, env)
    assert typed == list(lines.values())


def test_fish_completes(here: Path, shell: Callable[[str], str]) -> None:
    fish = shell("fish")
    env = environment(here, SHELL=fish)
    subprocess.run([fish, "-c", "tenfold --install-completion; true"], env=env, check=True)

    def offered(line: str) -> list[str]:
        ask = f"cd '{here}'; complete -C '{line}'"
        shown = subprocess.run([fish, "-c", ask], env=env, capture_output=True, check=True)
        return [row.partition("\t")[0] for row in shown.stdout.decode().splitlines()]

    assert offered("tenfold trai") == ["train"]
    assert offered("tenfold runs show ") == ["latest", "runs/second try", "runs/first"]
    assert offered("tenfold train pictures.") == ["pictures.zip"]
    assert offered("tenfold train --out pi") == ["pictures/"]
    assert offered("tenfold train --set optimizer.name=ad") == ["optimizer.name=adamw"]


def test_another_shell_is_told_which_there_are(
    refused: Callable[..., str], tenfold: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("tcsh", "/bin/tcsh"))
    line = refused("--install-completion")
    assert "no completion for the shell 'tcsh'; there is for bash, zsh and fish" in line
    assert "--show-completion SHELL" in line
    assert "no completion for 'elvish'" in refused("--show-completion", "elvish")
    assert "--show-completion SHELL: bash, zsh and fish" in refused("--show-completion")
    assert "--show-completion SHELL: bash" in refused("--install-completion", "bash")
    for name in _completion.SHELLS:
        assert f"_TENFOLD_COMPLETE={name}" in tenfold("--show-completion", name).out
