"""What a command line that is being typed can go on with.

What an argument or option takes is told by the name that help shows for it: RUN, SOURCE, RECIPE,
and so on. So a new command is completed without a line of code, as long as it uses the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from tenfold.cli._commands import COMMANDS, OPTIONS

SHELLS = ("bash", "zsh", "fish")
FORMATS = ("onnx", "litert", "savedmodel")
SOURCES = ("digits", "cifar10", "cifar100")
_RUNS = Path("runs")
_RECIPES = Path(__file__).parents[1] / "recipes"


class Candidate(NamedTuple):
    """A word that can stand at the cursor, and what it means."""

    word: str
    meaning: str = ""


FILES = Candidate(":files")
"""In the place of a word: the shell's own completion of paths, which knows its quoting."""
FOLDERS = Candidate(":folders")


def candidates(words: Sequence[str], current: str) -> list[Candidate]:
    """What can stand at the cursor.

    Args:
        words: the complete ones before it, without ``tenfold`` itself.
        current: what is typed of the word at the cursor; may be empty.

    Returns:
        Whole words that begin with ``current``, best first; `FILES` and `FOLDERS` among them.
    """
    if words[:1] == ["help"]:
        words = words[1:]
    if not words or words[-1] == "--show-completion":
        return list(_matching(_at_start(words, current), current))
    command = _command(words[0])
    given, position, waiting, literal = set[str](), 0, None, False
    for word in words[1:]:
        if waiting is not None:
            waiting = None
        elif word == "--" and not literal:
            literal = True
        elif word.startswith("-") and word != "-" and not literal:
            name, equals, _ = word.partition("=")
            option = _options(command).get(name)
            if option is not None:
                given.add(option.name)
                waiting = None if option.is_flag or equals else option
        elif hasattr(command, "commands"):
            command = command.commands.get(word)
        else:
            position += 1
    if command is None:
        return []
    if waiting is not None:
        return list(_values(waiting, current))
    if current.startswith("-") and not literal:
        name, equals, value = current.partition("=")
        option = _options(command).get(name)
        if equals and option is not None:
            return [_after(f"{name}=", found) for found in _values(option, value)]
        return list(_matching(_option_names(command, given), current))
    if hasattr(command, "commands"):
        below = command.commands.items()
        return list(_matching((Candidate(n, c.get_short_help_str(80)) for n, c in below), current))
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    if arguments and (position < len(arguments) or arguments[-1].nargs == -1):
        return list(_values(arguments[min(position, len(arguments) - 1)], current))
    return list(_matching(_option_names(command, given), current))


def _at_start(words: Sequence[str], current: str) -> Iterable[Candidate]:
    if words:
        return map(Candidate, SHELLS)
    if current.startswith("-"):
        rows = ((key.split(", "), text) for key, text in OPTIONS.items())
        return (Candidate(name.split()[0], text) for names, text in rows for name in names)
    return (Candidate(name, entry.summary) for name, entry in COMMANDS.items())


def _command(name: str) -> Any:
    from tenfold.cli._tree import tree

    return tree().commands.get(name) if name in COMMANDS else None


def _options(command: Any) -> dict[str, Any]:
    """The options of a command by each of their names."""
    params = getattr(command, "params", ())
    return {name: p for p in params if p.param_type_name == "option" for name in p.opts}


def _option_names(command: Any, given: set[str]) -> Iterator[Candidate]:
    """Those that can still be given, the long names first."""
    options = sorted(_options(command).items(), key=lambda item: not item[0].startswith("--"))
    for name, option in options:
        if option.multiple or option.name not in given:
            yield Candidate(name, (option.help or "").partition(";")[0])
    yield Candidate("--help", "Show this command's help.")


def _values(param: Any, current: str) -> Iterator[Candidate]:
    """What an argument or option can be, by the name that help shows for its value."""
    name = (param.metavar or "").strip("[].")
    if "|" in name:
        yield from _matching(map(Candidate, name.split("|")), current)
    else:
        yield from _VALUES.get(name, _nothing)(current)


def _nothing(_: str) -> Iterator[Candidate]:
    return iter(())


def _files(_: str) -> Iterator[Candidate]:
    yield FILES


def _folders(_: str) -> Iterator[Candidate]:
    yield FOLDERS


def _sources(current: str) -> Iterator[Candidate]:
    yield from _matching(map(Candidate, SOURCES), current)
    yield FILES


def _runs(current: str) -> Iterator[Candidate]:
    """Those in runs/, newest first; another folder where none of them is meant."""
    recipes = sorted(_RUNS.glob("*/recipe.toml"), key=_age, reverse=True)
    latest = [Candidate("latest", "the newest in runs/")] if recipes else []
    found = [*latest, *(Candidate(str(recipe.parent)) for recipe in recipes)]
    yield from list(_matching(found, current)) or [FOLDERS]


def _recipes(current: str) -> Iterator[Candidate]:
    shipped = _shipped_recipes()
    found = [Candidate(name, recipe.get("description", "")) for name, recipe in shipped.items()]
    yield from list(_matching(found, current)) or [FILES]


def _settings(current: str) -> Iterator[Candidate]:
    """``section.key=``, and after that the values that there are to choose from."""
    from tenfold.recipe import setting_fields

    fields = setting_fields()
    key, equals, _ = current.partition("=")
    if not equals:
        names = (Candidate(f"{name}=", _default(field)) for name, field in fields.items())
        yield from _matching(names, current)
    elif key in fields:
        values = _choices(fields[key].annotation)
        if key == "model.name":
            models = [recipe.get("model", {}).get("name") for recipe in _shipped_recipes().values()]
            values = sorted({name for name in models if name})
        yield from _matching((Candidate(f"{key}={value}") for value in values), current)


def _shells(current: str) -> Iterator[Candidate]:
    yield from _matching(map(Candidate, SHELLS), current)


def _formats(current: str) -> Iterator[Candidate]:
    yield from _matching(map(Candidate, FORMATS), current)


_VALUES: dict[str, Callable[[str], Iterator[Candidate]]] = {
    "SOURCE": _sources,
    "RUN": _runs,
    "RECIPE": _recipes,
    "SECTION.KEY=VALUE": _settings,
    "SHELL": _shells,
    "FORMAT": _formats,
    "FILE": _files,
    "PATH": _files,
    "DIR": _folders,
    "PLACE": _folders,
    # Of these there is nothing to choose from.
    **dict.fromkeys(
        ("N", "K", "SIZE", "TIME", "SECONDS", "MS", "INTERVAL", "HOST", "NAME"), _nothing
    ),
}


def _choices(annotation: Any) -> list[str]:
    """The values of a setting that has only a few, as they are written after ``--set``."""
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    if annotation is bool:
        return ["true", "false"]
    return ["none"] if type(None) in get_args(annotation) else []


def _default(field: Any) -> str:
    default = field.get_default(call_default_factory=True)
    return "" if default == "" else f"default: {str(default).lower()}"


def _shipped_recipes() -> dict[str, dict[str, Any]]:
    import tomllib

    return {
        path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
        for path in sorted(_RECIPES.glob("*.toml"), key=lambda path: path.stem)
    }


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns


def _after(prefix: str, found: Candidate) -> Candidate:
    """A candidate for the part of a word that follows ``prefix``, as one for the whole word."""
    return found if found in (FILES, FOLDERS) else Candidate(prefix + found.word, found.meaning)


def _matching(found: Iterable[Candidate], current: str) -> Iterator[Candidate]:
    return (candidate for candidate in found if candidate.word.startswith(current))
