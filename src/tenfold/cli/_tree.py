"""The commands as Typer sees them: built when they are called, their options in groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from tenfold.cli._commands import COMMANDS, width

# Typer's boxes are made for terminals of one width; plain help reads well everywhere.
_PLAIN: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}


def tree() -> TyperGroup:
    """``tenfold`` itself."""
    app = typer.Typer(
        cls=_Root,
        context_settings={"help_option_names": ["-h", "--help"], "terminal_width": width()},
        add_help_option=False,  # its own options are dealt with before it is built
        **_PLAIN,
    )
    app.callback()(lambda: None)
    return typer.main.get_group(app)


class _Command(TyperCommand):
    """A command whose help shows its options in groups, by their ``rich_help_panel``."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what it does; the example in one piece, to be copied."""
        text, mark, example = (self.help or "").partition("Example: ")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text.strip())
            if mark:
                formatter.write(f"\n  {mark}{example.strip()}\n")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options; options of no group come last."""
        _write_options(self, ctx, formatter)


class _Group(TyperGroup):
    """Commands that belong together."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write options, then the commands."""
        _write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)


class _Root(TyperGroup):
    """``tenfold`` itself, whose commands are built when they are asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of work."""
        return list(COMMANDS)


class _Commands(Mapping[str, Any]):
    """Commands by name."""

    def __getitem__(self, name: str) -> Any:
        return _build(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _build(name: str) -> Any:
    """A command from what its module holds; KeyError where there is none of that name."""
    module, _, attribute = COMMANDS[name].home.partition(":")
    found = getattr(import_module(module), attribute)
    holder = typer.Typer(**_PLAIN)
    holder.callback()(lambda: None)  # makes it a group, whatever it holds
    if isinstance(found, typer.Typer):
        for command in found.registered_commands:
            command.cls = _Command
        holder.add_typer(found, name=name, cls=_Group)
    else:
        holder.command(name, cls=_Command)(found)
    return typer.main.get_group(holder).commands[name]


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:
    groups: dict[str, list[tuple[str, str]]] = {"Arguments": []}
    ungrouped: list[tuple[str, str]] = []
    for param in command.get_params(ctx):
        names, purpose = param.get_help_record(ctx) or ("", "")
        if param.param_type_name == "argument":
            groups["Arguments"].append((names.partition(" ")[0], purpose))  # without its type
        elif names:
            group = param.rich_help_panel
            (groups.setdefault(group, []) if group else ungrouped).append((names, purpose))
    groups["Options"] = ungrouped
    for title, rows in groups.items():
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows, col_max=max(10, formatter.width // 3))
