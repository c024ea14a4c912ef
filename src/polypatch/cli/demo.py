"""``polypatch demo``: the whole method on the embedded world, offline, in minutes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from polypatch.cli.console import Bars, say, stdout
from polypatch.cli.options import Json, Quiet, Seed, command_line
from polypatch.cli.prepare import prepare
from polypatch.errors import StoppedError
from polypatch.store.run_folder import claim

if TYPE_CHECKING:
    from polypatch.experiments.demo import Demonstration
    from polypatch.runs import Event

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
    from polypatch.experiments.demo import demonstrate

    try:
        with Bars(quiet) as bars:
            done = demonstrate(out, seed, limit, jobs, command_line(ctx), partial(_moved, bars))
    except KeyboardInterrupt:
        raise StoppedError(f"finished rows are kept in {out / 'rows'}; the same command goes on from there") from None
    if json:
        from polypatch.evaluation.strict_json import to_json

        say(to_json(done.plain()))
    else:
        _show(done, stdout())


def _moved(bars: Bars, row: str, event: Event) -> None:
    if event.job is None:
        bars.opening(event.what, event.done, event.total)
    else:
        bars.update(row, event.done, event.total, key=event.job)


def _show(demo: Demonstration, console: Console) -> None:
    from polypatch.evaluation import console_table
    from polypatch.evaluation.in_words import LEGEND, in_words
    from polypatch.evaluation.tables import agreement_grid
    from polypatch.experiments.demo import (
        BASELINE,
        COMPARED,
        clg_in_words,
        example_grid,
        seconds_in_words,
        stream_in_words,
    )
    from polypatch.recipes import DEFAULT
    from polypatch.store.run_folder import PAGE

    console.print(f"[bold]The demo[/]  {stream_in_words(demo.rows)}", markup=True)
    console.print(console_table(demo.table))
    console.print(f"{LEGEND}\n")
    console.print(
        f"[bold]What {COMPARED} gains over {BASELINE}[/]  CLG, by what {COMPARED} was trained on", markup=True
    )
    console.print(demo.gain.to_console())
    console.print("[bold]Locality[/]  texts that should not change, in every language", markup=True)
    console.print(agreement_grid([row for row in demo.rows if row.recipe != "original"]).to_console())
    if demo.spoken is not None:
        console.print("[bold]The world that speaks[/]  one wrong fact, corrected; the model answers", markup=True)
        console.print(example_grid(demo.spoken.example).to_console())
        console.print(console_table(demo.spoken.reports))
        console.print(f"{DEFAULT}, the world that speaks: {in_words(demo.spoken.reports[1:])}\n")
    console.print(clg_in_words(demo.rows))
    console.print(seconds_in_words(demo.rows))
    console.print(f"{DEFAULT}: {in_words([row for row in demo.rows if row.recipe == DEFAULT])}")
    console.print(f"{demo.seconds:.0f} s. {demo.folder}: report.html, report.md, report.json, clg.png", soft_wrap=True)
    console.print(f"To read in a browser: {demo.folder / PAGE}", soft_wrap=True)
