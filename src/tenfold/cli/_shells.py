"""Shell completion: the scripts that ask us, how they are installed, and how they are answered.

A script runs ``tenfold`` with the environment variable _TENFOLD_COMPLETE set to the shell's name
and the words up to the cursor as arguments. It is answered with a line for each word that can stand
there: ``word<tab>meaning``, for bash the word alone, or ``:files`` or ``:folders`` for the shell's
own completion of paths.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tenfold.cli._completion import FILES, FOLDERS, SHELLS, candidates
from tenfold.errors import TenfoldError

_FOLDER = Path(__file__).parent


def requested(option: str, *values: str) -> str:
    """What ``--install-completion`` and ``--show-completion SHELL`` print.

    Raises:
        TenfoldError: there is no such shell, or it is left out.
    """
    if option == "--install-completion" and not values:
        return install()
    if option == "--show-completion" and len(values) == 1:
        return script(values[0])
    raise TenfoldError(
        f"write tenfold --install-completion, or tenfold --show-completion SHELL: {_LIST}"
    )


def script(shell: str) -> str:
    """The script that makes a shell complete ``tenfold``.

    Raises:
        TenfoldError: there is no script for that shell.
    """
    if shell not in SHELLS:
        raise TenfoldError(f"there is no completion for '{shell}'; there is for {_LIST}")
    return (_FOLDER / f"completion.{shell}").read_text(encoding="utf-8").rstrip()


def install() -> str:
    """Install the script for the shell that this was called from; what to say of it.

    For bash and zsh one line is added to the file that they read when they start. What is in that
    file stays as it is.

    Raises:
        TenfoldError: the shell is not known, or is none of those that there is a script for.
        OutputError: a file cannot be written.
    """
    from tenfold.files import atomic_write_text, translate_output_errors

    shell = _detect()
    if shell == "fish":
        path = _home("XDG_CONFIG_HOME", ".config") / "fish/completions/tenfold.fish"
        atomic_write_text(path, script(shell) + "\n")
    else:
        path = _home("XDG_DATA_HOME", ".local/share") / f"tenfold/completion.{shell}"
        atomic_write_text(path, script(shell) + "\n")
        start = _home("ZDOTDIR", "") / ".zshrc" if shell == "zsh" else Path.home() / ".bashrc"
        line = f"[ -f '{path}' ] && . '{path}'  # tenfold completion"
        written = start.read_bytes() if start.is_file() else b""
        if line.encode() not in written.splitlines():
            between = "\n" if written and not written.endswith(b"\n") else ""
            with translate_output_errors(start), start.open("ab") as file:
                file.write(f"{between}{line}\n".encode())
    return f"completion for {shell} is installed in {path}; open a new shell to use it"


def answer(shell: str, arguments: Sequence[str]) -> str:
    """What to print for a script that asks, a line for each word.

    Args:
        shell: one of `SHELLS`.
        arguments: what follows ``tenfold``, the word at the cursor last; for bash the line up to
            the cursor in one piece.
    """
    if shell == "bash":
        words = _split(arguments[0])[1:]
        # What bash takes for the word at the cursor begins behind the last of these.
        behind = max(words[-1].rfind(mark) for mark in "=:") + 1
        found = candidates(words[:-1], words[-1])
        texts = {f: re.sub(r"([^\w@%+=:,./-])", r"\\\1", f.word[behind:]) for f in found}
    else:
        texts = {f: f"{f.word}\t{f.meaning}" for f in candidates(arguments[:-1], arguments[-1])}
    return "".join(
        (f.word if f in (FILES, FOLDERS) else text) + "\n"
        for f, text in texts.items()
        if f.word.isprintable()  # a line break would make two of it
    )


_LIST = f"{', '.join(SHELLS[:-1])} and {SHELLS[-1]}"


def _detect() -> str:
    """The name of the shell that called us, or else of the user's own."""
    import shellingham

    try:
        name = str(shellingham.detect_shell()[0])
    except shellingham.ShellDetectionFailure:
        name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise TenfoldError(
            f"there is no completion for the shell '{name}'; there is for {_LIST}: "
            "add what tenfold --show-completion SHELL prints to its start-up file"
        )
    return name


def _home(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default)


def _split(line: str) -> list[str]:
    """The words of a line that is being typed; the last is the one at the cursor, maybe empty."""
    import shlex

    for closing in ("", "'", '"'):  # of a quotation that is still open
        try:
            *before, current = shlex.split(f"{line}x{closing}")  # x: a word, or more of the last
        except ValueError:
            continue
        return [*before, current[:-1]]
    return [*line.split(), ""]
