"""``polypatch check``: a gate before edits go out, for pipelines: exit code 0 or 1."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polypatch.cli.console import Bars, say, stdout
from polypatch.cli.options import Data, Json, Model, Quiet, Threads
from polypatch.cli.prepare import prepare
from polypatch.store.places import find_edits

FAILED = 1

EXAMPLES = """[bold]Examples[/]

polypatch check my-edits --probe texts.txt

polypatch check my-edits --probe probe.jsonl --max-locality-drop 0.5 --min-clg 80 --strict --json

polypatch check my-edits --probe texts.txt --min-confidence 50
"""


def check(
    edits: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    probe: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help='Texts that should not change: one a line, or {"lang", "text"} and perhaps "label" a line in .jsonl.',
        ),
    ],
    max_locality_drop: Annotated[
        float,
        typer.Option(min=0, metavar="POINTS", help="Answers that may differ from before, in %, in every language."),
    ] = 1.0,
    min_reliability: Annotated[
        float, typer.Option(min=0, max=100, metavar="PERCENT", help="Source prompts that must be answered as wanted.")
    ] = 100.0,
    min_clg: Annotated[
        float | None,
        typer.Option(
            min=0, max=100, metavar="PERCENT", help="The same of their parallel prompts, a mean of languages."
        ),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            metavar="PERCENT",
            help="The probability that every prompt of every edit must give its wanted answer.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Count edits that did not take, and fail on contradictions.")
    ] = False,
    model: Model = None,
    data: Data = None,
    threads: Threads = 1,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Check that edits are whole, do what was asked, and leave the rest alone.

    Exit code 0 if every check passes, 1 if one fails, 2 for a mistake in the
    command. The requests are those recorded with the edits; with --data those
    of the data with the same ids. Edits that were reverted are not asked about,
    those that did not take are listed.
    """
    folder = find_edits(edits)
    prepare(threads, quiet=quiet)
    from polypatch.cli.checking import Limits, checked
    from polypatch.cli.saved import Saved
    from polypatch.data.memory import read_probe

    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model, data=data)
        limits = Limits(max_locality_drop, min_reliability, min_clg, min_confidence, strict)
        verdict = checked(saved, lambda source: read_probe(probe, source), limits)
    if json:
        say(verdict.to_json())
    else:
        verdict.show(stdout())
    if not verdict.ok:
        raise typer.Exit(FAILED)
