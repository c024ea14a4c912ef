"""``polypatch log``: what was edited, when, and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polypatch.cli.console import say, stdout
from polypatch.cli.options import Json

EXAMPLES = """[bold]Examples[/]

polypatch log runs/first

polypatch log runs/first --status failed --status taken-back --trained-on de

polypatch log my-edits --id 'fever-*' --since 2026-05-01 --limit 20 --json
"""


def log(
    run: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status", metavar="STATUS", help="taken, failed, taken-back, not-needed or reverted; repeat for more."
        ),
    ] = None,
    trained_on: Annotated[str | None, typer.Option(metavar="L", help="Only edits trained on this language.")] = None,
    edit_id: Annotated[str | None, typer.Option("--id", metavar="GLOB", help="Only ids like this: 'fever-*'.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only what happened since: 2026-05-01, or with a time, in UTC.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the last so many.")] = None,
    json: Json = False,
) -> None:
    """The history: every edit that was handled, in order, with what was asked for and what it cost.

    While polypatch edit is at work, or after it was killed, the history is that
    of its journal. Does not need the model.
    """
    from polypatch.cli.history import Wanted, history, show, to_json

    wanted = Wanted.read(status or (), trained_on, edit_id, since, limit)
    lines = wanted.choose(history(run))
    if json:
        say(to_json(lines))
    elif lines:
        show(lines, stdout())
    else:
        say(f"{run}: no such edits")
