"""``polypatch save``: the edits of a run as a folder to keep, to hand on, or to upload."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polypatch.cli.console import say
from polypatch.cli.options import Json
from polypatch.errors import InputError

EXAMPLES = """[bold]Examples[/]

polypatch save runs/first my-edits

polypatch save runs/folded/edits-0 my-edits --overwrite

polypatch save runs/first my-edits --push-to-hub somebody/my-edits --private
"""


def save(
    run: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the edits go.")],
    push_to_hub: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Upload them to the Hugging Face hub, too.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository on the hub private.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the edits in FOLDER; anything else stays.")
    ] = False,
    json: Json = False,
) -> None:
    """Keep the edits of a run: a folder of some hundred kilobytes with a model card, not a model.

    A run that was killed, or goes on still, has no edits/ yet: then the edits
    come out of its journal, as they were made. Neither needs the model.
    """
    if private and push_to_hub is None:
        raise InputError("--private is about a repository: give --push-to-hub OWNER/NAME as well")
    from polypatch.cli.saving import save_edits

    saved = save_edits(run, folder, overwrite=overwrite, repo_id=push_to_hub, private=private)
    say(saved.to_json() if json else str(saved))
