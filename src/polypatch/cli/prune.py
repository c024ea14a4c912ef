"""``polypatch prune``: fewer patches that give the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polypatch.cli.console import Bars, say
from polypatch.cli.options import Data, Json, Model, Parallel, Quiet, Sizes, Threads, as_list, sizes
from polypatch.cli.prepare import prepare
from polypatch.errors import InputError
from polypatch.store.places import find_edits

EXAMPLES = """[bold]Examples[/]

polypatch prune runs/first

polypatch prune my-edits --memory texts.jsonl --out fewer --max-changed 5

polypatch prune runs/first --data massive:data/massive --languages en,de,fr,sw,th
"""


def prune(
    edits: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the rest goes. Default: pruned-edits, beside edits.")
    ] = None,
    data: Data = None,
    languages: Annotated[
        str | None,
        typer.Option(metavar="L,L,…", help="Languages of the data's memory, the source first. Default: all there are."),
    ] = None,
    memory: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Texts to leave alone, as for polypatch edit, not the data's.")
    ] = None,
    parallel: Parallel = None,
    max_changed: Annotated[
        int, typer.Option(min=0, metavar="N", help="So many texts of the memory may get a new answer.")
    ] = 0,
    model: Model = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of the data's sampled sets. Default: the edits' own.")
    ] = None,
    size: Sizes = None,
    threads: Threads = 1,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Drop patches that others made needless and merge those of one answer. RUN itself stays as it is.

    No text that an edit was made for, and that is right, becomes wrong, and no
    text of the memory gets a new answer. The memory is the one that was saved with
    the edits; --data or --memory names another.
    An edit may rest on another's patch then: it is taken back in Python, with the
    memory, and not by polypatch revert.
    """
    folder = find_edits(edits)
    where = out or folder.with_name(f"pruned-{folder.name}")
    if where.exists():
        raise InputError(f"{where} exists; take another --out")
    prepare(threads, quiet=quiet)
    from polypatch.cli.pruned import prune_saved
    from polypatch.cli.saved import Saved

    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model, data=data, seed=seed)
        done = prune_saved(saved, where, memory, parallel, as_list(languages), sizes(size), max_changed)
    say(done.to_json() if json else str(done))
