"""``polypatch merge``: the edits inside a stock checkpoint, which needs no polypatch to run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polypatch.cli.console import Bars, as_json, say
from polypatch.cli.options import Device, Json, Model, Quiet, Threads
from polypatch.cli.prepare import prepare
from polypatch.errors import InputError
from polypatch.store.places import find_edits

if TYPE_CHECKING:
    from polypatch.edited_model import EditedModel

EXAMPLES = """[bold]Examples[/]

polypatch merge runs/linear --dry-run

polypatch merge runs/linear --out edited-model

polypatch merge runs/linear/edits --model my-model --out edited-model --overwrite
"""


def merge(
    edits: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the checkpoint goes.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would cost.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint that is in FOLDER.")] = False,
    model: Model = None,
    device: Device = "auto",
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
        from polypatch.store.checkpoint import require_free

        require_free(out, overwrite)
    prepare(threads, quiet=quiet)
    from polypatch.cli.saved import Saved
    from polypatch.store.merged import Merged, require_elsewhere, write_merged

    with Bars(quiet) as bars:
        edited = Saved(folder, bars, model=model, device=device).attach()
        if out is not None and not dry_run:
            require_elsewhere(out, edited)
        cost = edited.merge_cost
        text = "changed weights replace the model's: no parameter added" if edited.delta.replaces else str(cost)
        if not json:
            say(text)
        merged = Merged() if dry_run or out is None else write_merged(edited, out, overwrite=overwrite)
    elsewhere = "" if merged.folder is None else _elsewhere(edited)
    if json:
        where = None if merged.folder is None else str(merged.folder)
        say(as_json({"cost": asdict(cost), "text": text, **asdict(merged), "folder": where, "elsewhere": elsewhere}))
    elif merged.folder is not None:
        say(
            f"{merged.folder}: {merged.megabytes:.1f} MB in {merged.dtype}; loaded back by transformers, it answers as "
            f"the edited model does (logits within {merged.difference:.0e} on {merged.compared} texts)\n"
            f"Elsewhere: {elsewhere}."
        )


def _elsewhere(edited: EditedModel) -> str:
    """What the report that was saved with the edits says of other answers."""
    from polypatch.model.cost import cost_from_plain

    known = [row["cost"] for row in edited.report or () if row.get("cost")]
    if not known:
        return "not known, as no report was saved with the edits; polypatch eval measures it"
    return f"{cost_from_plain(known[-1])} when it was measured"
