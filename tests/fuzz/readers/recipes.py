"""Recipes: TOML files, and the overrides of --set."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import tomli_w

from tenfold.recipe import Recipe, load_recipe, shipped

from ..mutation import NUMBERS, TEXTS, damaged, damaged_value
from ..reader import File, Reader

_WORDS = (
    "0x" + "f" * 20_000, "0b" + "1" * 400, "1" * 5000, "1_000", "1e400", "-0.0", "nan", "-inf", "1979-05-27",
    "07:32:00", "1979-05-27T07:32:00Z", '"""a\nb"""', "'''x'''", "[" * 3000, "{a=" * 300, "[[]]",
    "[1, 'a', {}]", "{a.b.c = 1}", "{}", '"\\u0000"', '"\\ud800"', '"\\U0010FFFF"', "true", "none", "NONE",
    "[1,]", "#", "= =", "0o777", "1__0", "+1", "''", "\n[model]\nname = 'x'", "\u0130",
)  # fmt: skip


def _seeds() -> list[File]:
    files = [File("r.toml", path.read_bytes()) for path in shipped().values()]
    return [*files, File("r.toml", Recipe().to_toml().encode())]


def _keys() -> list[str]:
    return [
        f"{section}.{key}" if isinstance(value, dict) else section
        for section, value in Recipe().model_dump().items()
        for key in (value if isinstance(value, dict) else [section])
    ]


_KEYS = _keys()


def _mutate(rng: Random, seeds: Sequence[File]) -> File:
    raw = rng.choice(seeds).content
    match rng.randrange(4):
        case 0:
            return File("r.toml", damaged(rng, raw, [seed.content for seed in seeds]))
        case 1:  # sound TOML with values that nobody expects
            value = tomllib.loads(raw.decode())
            for _ in range(rng.choice((1, 1, 3))):
                value = damaged_value(rng, value)
            try:
                return File("r.toml", tomli_w.dumps(value).encode("utf-8", "surrogatepass"))
            except (
                TypeError,
                AttributeError,
                ValueError,
                RecursionError,
            ):  # null, or a number beyond all bounds
                return File("r.toml", repr(value).encode("utf-8", "replace"))
        case 2:
            lines = raw.split(b"\n")
            place = rng.randrange(len(lines))
            key = lines[place].partition(b"=")[0]
            lines[place] = key + b"= " + rng.choice(_WORDS).encode()
            return File("r.toml", b"\n".join(lines))
        case _:
            table = ".".join(["a"] * rng.choice((2, 50, 2000)))
            added = rng.choice((f"[{table}]\n", f"{table} = 1\n", f"[[{table}]]\n", "[model]\n"))
            return File("r.toml", rng.choice((added.encode() + raw, raw + added.encode())))


def _read(file: File, folder: Path) -> None:
    path = folder / file.name
    path.write_bytes(file.content)
    recipe = load_recipe(path)
    recipe.to_toml()
    repr(recipe)


def _override_seeds() -> list[File]:
    return [File("set", b"optimizer.learning_rate=0.01"), File("set", b"data.rows=none")]


def _mutate_override(rng: Random, seeds: Sequence[File]) -> File:
    value: Any = rng.choice((*_WORDS, *TEXTS, *map(str, NUMBERS)))
    key = rng.choice((*_KEYS, *_KEYS, *TEXTS, "a.b.c", ".", "model", "model.", "name.x"))
    override = f"{key}{rng.choice(('=', '=', '=', ' = ', '==', ''))}{value}"
    raw = override.encode("utf-8", "surrogatepass")
    return File("set", damaged(rng, raw) if rng.random() < 0.2 else raw)


def _read_override(file: File, _: Path) -> None:
    # As Python decodes the arguments of a program.
    load_recipe("lab-2", [file.content.decode("utf-8", "surrogateescape")]).to_toml()


READERS = (
    Reader("recipe", _seeds, _mutate, _read, 3),
    Reader("override", _override_seeds, _mutate_override, _read_override, 3),
)
