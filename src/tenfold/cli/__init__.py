"""The command line: parsing arguments and printing, nothing else.

Whatever takes long to import is imported inside the command that needs it, so that ``tenfold
--help`` answers at once.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from tenfold.cli import data, evaluate, recipes, runs, train
from tenfold.cli._console import fail, say
from tenfold.errors import TenfoldError

__all__ = ["app", "invoke", "main"]

_OUR_FAULT, _INPUT_FAULT, _INTERRUPTED = 1, 2, 130

# What no code of ours can cause, and only the user can mend, wherever it comes up.
_UNUSABLE = {
    errno.ENOSPC: "free some space, or choose another place",
    errno.EDQUOT: "free some space, or choose another place",
    errno.EACCES: "choose another path, or ask for access to it",
    errno.EPERM: "choose another path, or ask for access to it",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its links lead in a circle; choose another path",
    errno.EIO: "the disk or the connection to it fails; choose another path",
    errno.ESTALE: "the connection to its disk is lost; choose another path",
}

app = typer.Typer(
    invoke_without_command=True,
    # Typer's boxes are made for terminals of one width; plain help reads well everywhere.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")
app.add_typer(recipes.app, name="recipes")


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Train image classifiers on the computer you have."""
    if version:
        import tenfold

        say(tenfold.__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        say(context.get_help())


def main() -> NoReturn:
    """Run the command line, and leave with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack a class's letters
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code, one of those of docs/command-line.md.

    Args:
        arguments: what follows ``tenfold``.
    """
    # TensorFlow reads this when it is imported. Its start-up notes say nothing that a user could
    # act on; its errors still come through.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        _check_text(arguments)
        code: int | None = app(list(arguments), prog_name="tenfold", standalone_mode=False)
    except TenfoldError as error:
        fail(str(error))
        return _INPUT_FAULT
    except typer.TyperException as error:
        fail(_explain(error))
        return _INPUT_FAULT
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _UNUSABLE:
            name = f"{os.fsdecode(error.filename)}: " if error.filename else ""
            fail(f"{name}{error.strerror}; {_UNUSABLE[error.errno]}")
            return _INPUT_FAULT
        traceback.print_exc()
        fail("this is a fault of ours; please report it with the lines above")
        return _OUR_FAULT
    if code == _INTERRUPTED:  # how Typer answers Ctrl-C
        fail("interrupted")
    return code or 0


def _check_text(arguments: Sequence[str]) -> None:
    """Refuse what no command can use."""
    for argument in arguments:
        if not argument:
            raise TenfoldError("an argument is empty; is a variable of your shell unset?")
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise TenfoldError(f"{argument} is not UTF-8; give it another name") from None


def _explain(error: typer.TyperException) -> str:
    """A wrong option, argument or command as one line, with the mend."""
    message = error.format_message().strip().rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "tenfold"
    stop = "" if message.endswith("?") else "."
    return f"{message[:1].lower()}{message[1:]}{stop} See {command} --help"
