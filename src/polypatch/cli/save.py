"""``polypatch save``: the edits of a run as a folder to keep, to hand on, or to upload."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polypatch.cli.console import as_json, say
from polypatch.cli.options import Json
from polypatch.cli.prepare import prepare
from polypatch.errors import InputError

if TYPE_CHECKING:
    from polypatch.store.artefact import Artefact

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
    """Keep the edits of a run: a folder of a few megabytes with a model card, not a model.

    A run that was killed, or goes on still, has no edits/ yet: then the edits
    come out of its journal, as they were made. Neither needs the model.
    """
    if private and push_to_hub is None:
        raise InputError("--private is about a repository: give --push-to-hub OWNER/NAME as well")
    if folder.exists() and not overwrite:
        raise InputError(f"{folder} exists; take another folder, or add --overwrite")
    from polypatch.store.cut import require_current
    from polypatch.store.unsaved import edits_of
    from polypatch.store.write import write_artefact

    artefact, source = edits_of(run)
    require_current(artefact)
    write_artefact(folder, artefact)
    address = None if push_to_hub is None else _pushed(artefact, push_to_hub, private, folder)
    counts = Counter(str(record.status) for record in artefact.records)
    saved = {"folder": str(folder), "source": source, "edits": counts, "patches": len(artefact.owners)}
    if json:
        say(as_json({**saved, "address": address}))
        return
    count = ", ".join(f"{number} {status}" for status, number in counts.items())
    say(f"{folder}: {counts.total()} edits ({count}), {len(artefact.owners)} patches, of {source}")
    if address is not None:
        say(f"uploaded to {address}")


def _pushed(artefact: Artefact, repo_id: str, private: bool, folder: Path) -> str:
    prepare()
    from polypatch.store.load import push_artefact

    try:
        # The texts of the memory stay here: they may be nobody else's business.
        return push_artefact(replace(artefact, memory=None), repo_id, private=private, token=None)
    except InputError as error:
        raise InputError(f"{error}; the edits are in {folder}") from error
