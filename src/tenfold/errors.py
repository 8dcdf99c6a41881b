"""The exceptions that mean "the input is wrong".

Each carries one line for the user: what is wrong, the name of the thing, and what to do about it.
The command line prints that line and leaves with exit code 2; anything else that escapes is our
fault and leaves with exit code 1.
"""

from __future__ import annotations

_LONGEST = 2000
"""Characters of a message; what is longer quotes a file, and is cut in the middle."""


class TenfoldError(Exception):
    """Base class of every error that a user can cause and mend."""

    def __init__(self, message: str) -> None:
        # One line is the contract: a name with a newline in it must not break it, nor one of a
        # million letters. The mend stands at the end.
        line = " ".join(message.split())
        if len(line) > _LONGEST:
            line = f"{line[: _LONGEST - 300]} ... {line[-295:]}"
        super().__init__(line)


class SourceError(TenfoldError):
    """A source cannot be read: missing, damaged, hostile, or not what it claims to be."""


class RecipeError(TenfoldError):
    """A recipe, one of its values, or an override is not usable."""


class RunError(TenfoldError):
    """A run folder is missing, unfinished, damaged, or already in use."""


class OutputError(TenfoldError):
    """A place that we were asked to write to cannot take it: read-only, full, or not a folder."""
