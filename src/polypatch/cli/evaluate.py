"""``polypatch eval``: saved edits, measured again or on other data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polypatch.cli.console import Bars, say, stdout
from polypatch.cli.folder import claim
from polypatch.cli.options import (
    Data,
    Json,
    Overwrite,
    Quiet,
    Sizes,
    Threads,
    as_list,
    command_line,
    sizes,
)
from polypatch.cli.prepare import prepare
from polypatch.store.places import find_edits

EXAMPLES = """[bold]Examples[/]

polypatch eval runs/first/edits --data jsonl:edits.jsonl

polypatch eval runs/massive/edits --model my-model --data massive:data/massive --languages en,th --every-edit --json
"""


def evaluate(
    ctx: typer.Context,
    edits: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The model they were made on. Default: the one they name.")
    ] = None,
    data: Data = None,
    languages: Annotated[
        str | None,
        typer.Option(metavar="L,L,…", help="Languages to measure, the source first. Default: all there are."),
    ] = None,
    every_edit: Annotated[
        bool, typer.Option("--every-edit", help="Measure all edits of the data, not only those that were handled.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of the data's sampled sets. Default: the edits' own.")
    ] = None,
    size: Sizes = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write report.md, report.json, cells.json.")
    ] = None,
    threads: Threads = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Measure saved edits on data: reliability, generalisation in every language, locality.

    On the data of the run that made them, unless --data names others; then the
    numbers are that run's.
    Edits of the data that the run never handled are left out unless asked for.
    """
    folder = find_edits(edits)
    if out is not None:
        claim(out, overwrite)
    prepare(threads, quiet=quiet)
    from polypatch.cli.evaluating import evaluate_saved
    from polypatch.cli.saved import Saved

    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model, data=data, seed=seed)
        results = evaluate_saved(saved, as_list(languages), sizes(size), every_edit, command_line(ctx))
    if out is not None:
        results.write(out)
    if json:
        say(results.to_json())
    else:
        results.show(stdout())
