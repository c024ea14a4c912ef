"""``polypatch ls``: the tables, a recipe's settings, and what is in a folder of edits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polypatch.cli.console import say, stdout
from polypatch.cli.options import Json
from polypatch.cli.prepare import prepare

EXAMPLES = """[bold]Examples[/]

polypatch ls recipes

polypatch ls mpn-all          [dim](its settings, for --set)[/]

polypatch ls runs/first       [dim](saved edits, and those that did not take)[/]
"""


def ls(
    what: Annotated[
        str | None,
        typer.Argument(metavar="WHAT", help="recipes, data or metrics; a recipe's name; a run's folder."),
    ] = None,
    json: Json = False,
) -> None:
    """List the recipes, the data formats, the metrics; or the edits in a folder."""
    from polypatch.cli import tables
    from polypatch.recipes import is_recipe

    if what is None:
        listings = tables.all_tables()
    elif what in tables.TABLES:
        listings = [tables.TABLES[what]()]
    elif is_recipe(what):
        prepare()
        listings = [tables.settings(what)]
    else:
        listings = tables.saved_edits(Path(what))
    if json:
        from polypatch.evaluation.strict_json import to_json

        say(to_json([listing.plain() for listing in listings]))
        return
    for listing in listings:
        listing.show(stdout())
