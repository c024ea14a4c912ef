"""``polypatch merge``: the edits inside a stock checkpoint, which needs no polypatch to run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polypatch.cli.console import Bars, say
from polypatch.cli.options import Json, Model, Quiet, Threads
from polypatch.cli.prepare import prepare
from polypatch.errors import InputError
from polypatch.store.places import find_edits

EXAMPLES = """[bold]Examples[/]

polypatch merge my-edits --dry-run

polypatch merge my-edits --out edited-model

polypatch merge runs/first/edits --model my-model --out edited-model --overwrite
"""


def merge(
    edits: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the checkpoint goes.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would cost.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint that is in FOLDER.")] = False,
    model: Model = None,
    threads: Threads = 1,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write the model with its edits inside, as a checkpoint that plain transformers loads.

    Says first what that costs in parameters: patches become neurons of a wider
    feed-forward layer. What was written is loaded back and compared with the
    model that carries the edits before it takes its place in FOLDER.
    """
    if out is None and not dry_run:
        raise InputError("--out is missing: say where the checkpoint goes, or --dry-run to see only what it costs")
    folder = find_edits(edits)
    if out is not None:
        from polypatch.cli.checkpoints import require_free

        require_free(out, overwrite)
    prepare(threads, quiet=quiet)
    from polypatch.cli.merging import merge_edits
    from polypatch.cli.saved import Saved

    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model)
        tell = (lambda _: None) if json else say
        merged = merge_edits(saved, None if dry_run else out, overwrite=overwrite, tell=tell)
    if json:
        say(merged.to_json())
    elif merged.folder is not None:
        say(str(merged))
