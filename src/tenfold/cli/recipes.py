"""``tenfold recipes``: listing and showing recipes."""

from __future__ import annotations

import typer

from tenfold.cli._console import say, say_json, say_table
from tenfold.cli._options import JsonOption, RecipeArgument, SetOption

app = typer.Typer(invoke_without_command=True)


@app.callback()
def recipes(context: typer.Context) -> None:
    """List and show the recipes that ship; alone, it lists them."""
    if context.invoked_subcommand is None:
        list_recipes()


@app.command("list")
def list_recipes(json: JsonOption = False) -> None:
    """List the recipes that ship.

    Example: tenfold recipes list
    """
    from tenfold.recipe import load_recipe, shipped

    found = [load_recipe(name) for name in shipped()]
    if json:
        say_json({"recipes": {recipe.name: recipe.description for recipe in found}})
        return
    say_table(
        ["recipe", "what it is"], [[recipe.name, recipe.description] for recipe in found], names=2
    )


@app.command()
def show(
    recipe: RecipeArgument,
    set_: SetOption = [],  # noqa: B006  # Typer reads the default, nothing changes it
    json: JsonOption = False,
) -> None:
    """Print every setting of a recipe as TOML; a new recipe can start from it.

    Example: tenfold recipes show lab-2 --set training.epochs=20
    """
    from tenfold.recipe import load_recipe

    chosen = load_recipe(recipe, set_)
    if json:
        say_json(chosen.model_dump())
    else:
        say(chosen.to_toml().rstrip())
