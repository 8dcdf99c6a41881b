"""What a user may have meant by a word that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

_SHORTEST_PART = 3
"""Shorter ones are in too many names."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint to append to an error message; empty where nothing known resembles the word."""
    return _hint(next(iter(difflib.get_close_matches(word, list(known), n=1)), None))


def did_you_mean_path(path: Path, *, folders_only: bool = False) -> str:
    """The same for a path: what resembles it in its folder, or in a folder that resembles that one.

    Args:
        path: of something that is not there.
        folders_only: leave out files.
    """
    there = Path(path.anchor) if path.anchor else Path()
    for part in path.parts[len(there.parts) :]:
        if (there / part).exists():
            there /= part
            continue
        try:
            names = [found.name for found in there.iterdir() if found.is_dir() or not folders_only]
        except OSError:
            return ""
        close = difflib.get_close_matches(part, names, n=1)
        if not close:
            return ""
        there /= close[0]
    return _hint(str(there))


def did_you_mean_setting(key: str, known: Iterable[str]) -> str:
    """The same for a recipe's ``section.key``, by how people misremember settings.

    That is, in this order: the right name in the wrong section, or in none (``epochs``); its
    initials (``optimizer.lr``); a part of it (``optimizer.rate``); a slip of the pen.
    """
    section, _, name = key.rpartition(".")
    own: dict[str, str] = {}
    anywhere: dict[str, str] = {}
    for setting in known:
        its_section, _, its_name = setting.rpartition(".")
        anywhere.setdefault(its_name, setting)
        if its_section:
            anywhere.setdefault(its_section, its_section)
        if its_section == section:
            own[its_name] = setting
    if name in anywhere:
        return _hint(anywhere[name])
    for alike in (_has_initials, _has_part):
        for pool in (own, anywhere):
            matches = [setting for other, setting in pool.items() if alike(other, name)]
            if len(matches) == 1:
                return _hint(matches[0])
    pool = own if section else anywhere
    close = difflib.get_close_matches(name, list(pool), n=1)
    return _hint(pool[close[0]]) if close else ""


def _has_initials(name: str, word: str) -> bool:
    return word == "".join(part[0] for part in name.split("_"))


def _has_part(name: str, word: str) -> bool:
    return len(word) >= _SHORTEST_PART and word in name


def _hint(meant: str | None) -> str:
    return f" (did you mean '{meant}'?)" if meant else ""
