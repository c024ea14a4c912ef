"""``polypatch demo``: the whole method on the embedded world, offline, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polypatch.cli.console import Bars, StoppedError, say, stdout
from polypatch.cli.folder import claim
from polypatch.cli.options import Json, Quiet, Seed, command_line
from polypatch.cli.prepare import prepare

EXAMPLES = """[bold]Examples[/]

polypatch demo

polypatch demo --limit 100 --jobs 4 --out runs/quick
"""


def demo(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the tables and the picture go.")] = Path(
        "runs/demo"
    ),
    seed: Seed = 0,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only so many edits per row.")] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Rows computed side by side, one core each.")] = 2,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Edit the small model of a six-language world in five ways, and compare.

    Prints Table 1 of the paper for it, and what MPN gains over
    Transformer-Patcher in languages a patch was and was not trained on. Needs
    no network, and prints the same digits on every machine. After an
    interruption the same command goes on where it stopped.
    """
    claim(out, overwrite=True)
    prepare(quiet=quiet, same_everywhere=True)
    from polypatch.cli.demonstrating import demonstrate

    try:
        with Bars(quiet) as bars:
            demonstration = demonstrate(out, seed, limit, jobs, bars, command_line(ctx))
    except KeyboardInterrupt:
        raise StoppedError(f"finished rows are kept in {out / 'rows'}; the same command goes on from there") from None
    if json:
        say(demonstration.to_json())
    else:
        demonstration.show(stdout())
