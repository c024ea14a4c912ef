"""``polypatch world``: build the embedded default, and look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polypatch.cli.console import Bars, StoppedError, say, stdout
from polypatch.cli.options import Json, Quiet
from polypatch.cli.prepare import prepare

app = typer.Typer(help="The embedded six-language world: build it, look at it.", no_args_is_help=False)

Seed = Annotated[int, typer.Option(metavar="N", help="Which world: its facts, its sentences, its model.")]
CacheDir = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where worlds are kept. Default: POLYPATCH_CACHE, or the user's cache."),
]


@app.command(
    epilog="[bold]Examples[/]\n\npolypatch world build --seed 1\n\n"
    "polypatch world build --seed 1 --force --cache-dir worlds"
)
def build(
    seed: Seed = 0,
    force: Annotated[bool, typer.Option("--force", help="Build it again, even if it is there.")] = False,
    cache_dir: CacheDir = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Generate the facts and train the small BERT that knows them: offline, about a minute and a half on one core.

    The world of seed 0 comes with polypatch, so that it is the same on every
    machine; what is trained anew differs a little from processor to processor.
    """
    prepare(quiet=quiet)
    from polypatch.cli.worlds import built

    try:
        with Bars(quiet) as bars:
            result = built(seed, force, cache_dir, bars)
    except KeyboardInterrupt:
        raise StoppedError("a world is kept only when it is whole; nothing was written") from None
    if json:
        say(result.to_json())
    else:
        say(str(result))


@app.command(epilog="[bold]Examples[/]\n\npolypatch world show\n\npolypatch world show --edits 2 --json")
def show(
    seed: Seed = 0,
    edits: Annotated[int, typer.Option(min=0, metavar="N", help="So many example edits.")] = 3,
    cache_dir: CacheDir = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Counts, balance, how well the unedited model does in each language, and a few edits in all six."""
    prepare(quiet=quiet)
    from polypatch.cli.worlds import View

    with Bars(quiet) as bars:
        view = View.of(seed, edits, cache_dir, bars)
    if json:
        say(view.to_json())
    else:
        view.show(stdout())


@app.callback(invoke_without_command=True)
def _world(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())
