"""``polypatch data``: data sets that have to be made before they can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from polypatch.cli.console import Bars, say, stdout
from polypatch.cli.options import Json, Overwrite, Quiet, Threads, as_list, pairs
from polypatch.cli.prepare import prepare
from polypatch.errors import StoppedError
from polypatch.rendering.grid import Grid, labels

if TYPE_CHECKING:
    from polypatch.experiments.xfever_edit import MadeEdits

app = typer.Typer(help="Make data sets: xfever-edit, the paper's translated FEVER.", no_args_is_help=False)

EXAMPLES = """[bold]Examples[/]

polypatch data xfever-edit --train fever-train-kilt.jsonl --dev fever-dev-kilt.jsonl --out xfever

polypatch data xfever-edit --train train.jsonl --dev dev.jsonl --out try --languages de --limit 100

polypatch data xfever-edit --train train.jsonl --dev dev.jsonl --out xfever --model de=models/en-de --device cuda

Then: [bold]polypatch edit MODEL --data jsonl:xfever/edits.jsonl --memory xfever/memory.jsonl --out runs/first[/]"""


@app.command("xfever-edit", epilog=EXAMPLES)
def xfever_edit(
    train: Annotated[Path, typer.Option(metavar="FILE", help="FEVER's training file: KnowledgeEditor's, or KILT's.")],
    dev: Annotated[Path, typer.Option(metavar="FILE", help="FEVER's development file; it becomes the test set.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where everything goes.")],
    languages: Annotated[
        str, typer.Option(metavar="L,L,…", help="Languages to translate the edits into.")
    ] = "de,fr,es,zh,ar",
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="LANG=NAME", help="Another Marian model, a folder or hub name; repeat for more."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Translations by sentence. Default: FOLDER/translations.sqlite."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, metavar="N", help="Sentences translated at once.")] = 32,
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu or cuda.")] = "cpu",
    beams: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Beams of the search. Default: the model's own.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N edits, for a try.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the split, the memory and the locality set.")] = 0,
    choice: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="What the paper leaves open: remainder, rephrases, unrephrased, answers, memory, memory_other, "
            "locality_train; see docs/data-format.md. Repeat for more.",
        ),
    ] = None,
    threads: Threads = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Split FEVER as the paper does, translate D_edit, and write edits, training rows, memory and a figure.

    Every batch of translations is kept as soon as it is made: after Ctrl-C the same command goes on.
    """
    prepare(threads, quiet=quiet)
    from polypatch.data.seq2seq import Decoding
    from polypatch.evaluation.strict_json import to_json
    from polypatch.experiments.xfever_edit import XFeverRequest, make_xfever_edit

    request = XFeverRequest(
        train=train,
        dev=dev,
        out=out,
        languages=as_list(languages),
        models=pairs(model, "--model"),
        cache=cache or out / "translations.sqlite",
        batch_size=batch_size,
        device=device,
        decoding=Decoding(num_beams=beams),
        limit=limit,
        choices=pairs(choice, "--set"),
        seed=seed,
        overwrite=overwrite,
    )
    try:
        with Bars(quiet) as bars:
            made = make_xfever_edit(request, bars.update)
    except KeyboardInterrupt:
        kept = f"every finished batch is in {request.cache}" if request.cache.exists() else "nothing was translated yet"
        raise StoppedError(f"{kept}; the same command goes on from there") from None
    if json:
        say(to_json(made.plain()))
    else:
        _show(made, stdout())


@app.callback(invoke_without_command=True)
def _data(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


NAMES = {"train": "D_train", "validation": "D_val", "editing": "D_edit", "test": "D_test"}
ROLES = {
    "train": "trains the model; memory and locality train come from it",
    "validation": "chooses the model, watches the stopping rule",
    "editing": "the edits, translated",
    "test": "locality test",
}


def _show(made: MadeEdits, console: Console) -> None:
    console.print(_counts(made).to_console())
    console.print(_lengths(made).to_console())
    console.print(
        f"{made.edits:,} edits, {made.rephrases:,} rephrases; {made.unrephrased:,} edits have none. "
        f"{made.left_over:,} claims left over by the split."
    )
    console.print(f"{made.memory:,} texts for the memory, {made.locality_train:,} for locality train.")
    empty = {lang: one.empty for lang, one in made.languages.items() if one.empty}
    if empty:
        said = ", ".join(f"{count} in {lang}" for lang, count in empty.items())
        console.print(f"Translations that came out empty and were left out: {said}.")
    console.print(f"{made.folder}: edits.jsonl, xfever-edit.json, lengths.png, …", soft_wrap=True)


def _counts(made: MadeEdits) -> Grid:
    from polypatch.data.fever import PAPER

    rows = [
        (NAMES[name], ROLES[name], f"{count:,}", f"{PAPER[name]:,}", f"{made.supports[name]:.1f}")
        for name, count in made.counts.items()
    ]
    return labels(("Set", "Role", "Claims", "Paper", "SUPPORTS %"), rows, numbers=3)


def _lengths(made: MadeEdits) -> Grid:
    rows = []
    for lang, one in made.languages.items():
        paper = "–" if one.paper is None else f"{one.paper:.1f}"
        sentences, new = f"{one.sentences:,}", f"{one.new:,}"
        rows.append((lang, one.unit, one.model or "–", f"{one.mean:.1f}", paper, sentences, new))
    return labels(("Language", "Unit", "Model", "Mean length", "Paper", "Edits", "New"), rows, numbers=4)
