"""The command line: parsing arguments and printing, nothing else.

Whatever takes long to import is imported inside the command that needs it, so that ``tenfold
--help`` answers at once.
"""

from __future__ import annotations

import errno
import io
import os
import sys

from tenfold.errors import TenfoldError

# Not typing's: until `main` runs, Ctrl-C shows a traceback, so nothing before it may take long.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    import typer

__all__ = ["invoke", "main"]

COMPLETE = "_TENFOLD_COMPLETE"
"""The environment variable in which a shell that completes a command line gives its name."""

_OUR_FAULT, _INPUT_FAULT, _INTERRUPTED, _READER_GONE = 1, 2, 130, 141

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


def main() -> NoReturn:
    """Run the command line, and leave with its exit code."""
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack a class's letters
    code = invoke(sys.argv[1:])
    if code == _INTERRUPTED:
        _on_interrupt(ignore=True)  # leaving takes a while once TensorFlow is imported
    sys.exit(code)


def invoke(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code, one of those of docs/command-line.md.

    Args:
        arguments: what follows ``tenfold``.
    """
    try:
        return _run(list(arguments))
    except KeyboardInterrupt:
        before = _on_interrupt(ignore=True)
        _fail("interrupted")
        _on_interrupt(before)
        return _INTERRUPTED
    except Exception as error:
        return _answer(error)


def _answer(error: Exception) -> int:
    """Say what went wrong; the exit code."""
    from tenfold.cli._console import ReaderGoneError

    if isinstance(error, ReaderGoneError):  # as for `tenfold runs | head -1`
        return _READER_GONE
    if isinstance(error, TenfoldError):
        _fail(str(error))
        return _INPUT_FAULT
    if isinstance(error, OSError) and error.errno in _UNUSABLE:
        name = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        _fail(f"{name}{error.strerror}; {_UNUSABLE[error.errno]}")
        return _INPUT_FAULT
    import traceback

    traceback.print_exception(error)
    _fail("this is a fault of ours; please report it with the lines above")
    return _OUR_FAULT


def _fail(text: str) -> None:
    from tenfold.cli._console import fail

    fail(text)


def _on_interrupt(handler: Any = None, *, ignore: bool = False) -> Any:
    """Set what Ctrl-C does from now on: ``handler``, or nothing; what it did before."""
    import signal

    return signal.signal(signal.SIGINT, signal.SIG_IGN if ignore else handler)


def _run(arguments: list[str]) -> int:
    from tenfold.cli._console import ReaderGoneError, say, write

    if shell := os.environ.get(COMPLETE):
        from tenfold.cli._shells import answer

        write(answer(shell, arguments))
        return 0
    # The parser takes longer to import than any of these takes to print.
    first = arguments[0] if arguments else "--help"
    if first in ("-h", "--help") or arguments == ["help"]:
        from tenfold.cli._commands import page

        say(page())
        return 0
    if first == "--version":
        import tenfold

        say(tenfold.__version__)
        return 0
    if first in ("--install-completion", "--show-completion"):
        from tenfold.cli import _shells

        say(_shells.requested(*arguments))
        return 0

    from tenfold.cli._quiet import quiet_tensorflow

    quiet_tensorflow()
    # Looking for plug-ins reads the metadata of everything that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _check_text(arguments)
    if first == "help":
        arguments = [*arguments[1:], "--help"]

    if arguments[0] == "predict":
        from tenfold.cli._quick import predict_arguments

        if (plain := predict_arguments(arguments[1:])) is not None:
            from tenfold.cli._predicting import predict

            predict(**plain)
            return 0

    import typer

    from tenfold.cli._tree import tree

    try:
        code: int | None = tree().main(arguments, prog_name="tenfold", standalone_mode=False)
    except typer.TyperException as error:
        raise TenfoldError(_explain(error)) from None
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # while Typer printed a help text
            raise ReaderGoneError from None
        raise
    if code == _INTERRUPTED:  # how Typer answers Ctrl-C
        raise KeyboardInterrupt
    return code or 0


def _open_closed_streams() -> None:
    """Let what was closed lead nowhere, as in ``tenfold train >&-``.

    Else the next file that is opened takes its number, and whatever is printed goes into that.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: PTH123, SIM115
            setattr(sys, name, nowhere)


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
    import re

    from tenfold.suggestions import did_you_mean

    message = error.format_message().replace("Value error, ", "").strip().rstrip(".")
    if possible := getattr(error, "possibilities", None):  # an option that is not known
        message = f"{error.message} (did you mean '{possible[0]}'?)"
    elif found := re.search(r": '(.*)' is not one of (.*)$", message):  # a value of a few
        message += did_you_mean(found[1], re.findall(r"'(.*?)'", found[2]))
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "tenfold"
    stop = "" if message.endswith("?") else "."
    return f"{message[:1].lower()}{message[1:]}{stop} See {command} --help"
