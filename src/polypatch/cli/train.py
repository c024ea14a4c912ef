"""``polypatch train``: an encoder and labelled rows; a folder with the classifier that `polypatch edit` takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from polypatch.cli.console import Bars, say, stdout
from polypatch.cli.options import Json, Overwrite, Quiet, Seed, Threads, as_list, command_line, require_model, settings
from polypatch.cli.prepare import prepare
from polypatch.errors import InputError, StoppedError
from polypatch.rendering.grid import labels as grid

if TYPE_CHECKING:
    from polypatch.training.classifier import Planned

WHAT, HOW = "What to train on", "How to train"

EXAMPLES = """[bold]Examples[/]

polypatch train new:small --preset xnli --data xnli:data/xnli --split dev=0.8 --set warmup_steps=10 \
--set learning_rate=5e-4 --out small-nli

polypatch train my-encoder --preset xfever --data jsonl:train.jsonl --validation jsonl:validation.jsonl --out fever

polypatch train my-encoder --preset xnli --data massive:data/massive --labels data --languages en,de --out intents

polypatch train --preset xfever --dry-run --like mbert

accelerate launch -m polypatch train my-encoder --preset xnli --data xnli:data/xnli --out nli   \
[dim](several GPUs)[/]
"""


def train(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="An encoder: a folder, a hub name, or [bold]new:small[/], a new BERT."),
    ] = None,
    preset: Annotated[str, typer.Option(metavar="NAME", help="A column of the paper's Table 4: xfever or xnli.")] = "",
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the classifier goes.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT:PLACE",
            help="jsonl:FILE, xnli:FOLDER or massive:FOLDER: its train is trained on, its dev validates.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(metavar="FORMAT:PLACE", help="Validate on these rows instead.", rich_help_panel=WHAT),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="[PART=]SHARE",
            help="Train on a share of one part and validate on the rest: 0.9 (of train), dev=0.8.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(
            metavar="L,L,…",
            help="Train on these and choose the best by these. Default: of a folder en, of a file all.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    eval_languages: Annotated[
        str | None, typer.Option(metavar="L,L,…", help="Further languages, only measured.", rich_help_panel=WHAT)
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="L,L,…|data",
            help="Classes in the order of their ids, or those of the data, sorted. Default: the preset's.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Instead of the preset's, such as epochs=5.", rich_help_panel=HOW
        ),
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="End after so many steps.", rich_help_panel=HOW)
    ] = None,
    evaluate_every: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Validate and save every so many steps. Default: each epoch.", rich_help_panel=HOW
        ),
    ] = None,
    patience: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Stop after so many validations that were no better; 0: never.",
            rich_help_panel=HOW,
        ),
    ] = 0,
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="fp32, or mixed: bf16, fp16.", rich_help_panel=HOW)
    ] = "fp32",
    accumulate: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Take a step's rows in so many batches: less memory.", rich_help_panel=HOW
        ),
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it takes: steps, schedule, parameters, memory.")
    ] = False,
    like: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --dry-run: a known model's sizes: mbert, mbert-uncased.")
    ] = None,
    seed: Seed = 0,
    threads: Threads = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training that was interrupted: the same command, and this.")
    ] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fine-tune an encoder as a classifier, by the paper's Table 4.

    FOLDER gets a plain Hugging Face checkpoint with a model card, at the end and
    whole; polypatch edit takes it. Until then FOLDER.training holds checkpoints:
    after Ctrl-C, a kill or a power cut the same command with --resume goes on,
    and ends on a CPU with the same weights, bit for bit. A line of a JSON Lines
    file is {"text", "label"} or {"premise", "hypothesis", "label"}; "lang" and
    "id" (the same for translations of each other) may be added.
    """
    if not preset:
        raise InputError("--preset is missing: xfever or xnli, a column of the paper's Table 4")
    _require_consistent(model, out, data, dry_run=dry_run, like=like, resume=resume, overwrite=overwrite)
    prepare(threads, quiet=quiet)
    from polypatch.evaluation.strict_json import to_json
    from polypatch.training.classifier import Request, plan_only, train_and_save
    from polypatch.training.data import Split
    from polypatch.training.plan import Training
    from polypatch.training.presets import changed, preset_named

    chosen = preset_named(preset)
    request = Request(
        model=like or model or "",
        preset=chosen,
        training=Training(
            settings=changed(chosen, settings(setting, chosen.settings)),
            seed=seed,
            precision=precision,
            accumulate=accumulate,
            evaluate_every=evaluate_every,
            patience=patience,
            max_steps=max_steps,
        ),
        data=data,
        validation=validation,
        split=Split.read(split) if split else None,
        languages=as_list(languages),
        eval_languages=as_list(eval_languages),
        labels=as_list(labels) or None if labels != "data" else (),
        command=command_line(ctx),
    )
    if dry_run:
        planned = plan_only(request)
        say(to_json(planned.plan.plain())) if json else _show(planned, stdout())
        return
    assert out is not None
    try:
        with Bars(quiet) as bars:
            result = train_and_save(request, out, resume=resume, overwrite=overwrite, report=bars.update, say=bars.say)
    except KeyboardInterrupt:
        raise StoppedError(f"{out}.training holds the checkpoints; the same command with --resume goes on") from None
    if result is not None:  # of several processes one speaks
        say(to_json({"folder": str(result.folder), **result.record}) if json else str(result))


def _show(planned: Planned, console: Console) -> None:
    console.print(Text(planned.title, style="italic"))
    console.print(grid(("", ""), planned.plan.lines()).to_console())


def _require_consistent(
    model: str | None,
    out: Path | None,
    data: str | None,
    *,
    dry_run: bool,
    like: str | None,
    resume: bool,
    overwrite: bool,
) -> None:
    if resume and overwrite:
        raise InputError("--resume goes on with what is there, --overwrite throws it away: give one of them")
    if like is not None and not dry_run:
        raise InputError("--like has sizes and no weights: it goes with --dry-run only")
    if model is None and like is None:
        raise InputError("MODEL is missing: an encoder's folder, a hub name, or new:small")
    if model == "world":
        raise InputError("world is a model that is trained already; MODEL is an encoder, or new:small")
    if model is not None:
        require_model(model)
    if not dry_run and data is None:
        raise InputError("--data is missing: say what to train on, such as --data jsonl:train.jsonl")
    if not dry_run and out is None:
        raise InputError("--out is missing: say where the classifier goes, or --dry-run to see only what it takes")
