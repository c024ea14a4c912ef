"""``polypatch edit``: a model, a stream of edits, a recipe; a folder with the edits and what they achieved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polypatch.cli.console import Bars, say, stdout
from polypatch.cli.options import (
    AnswerTokens,
    Cache,
    Chat,
    Data,
    Device,
    EvalLanguages,
    Json,
    KeepMemory,
    Languages,
    MinConfidence,
    Overwrite,
    Parallel,
    Quiet,
    Renderings,
    Seed,
    SizeOptions,
    Threads,
    TranslateTo,
    TranslationFile,
    TranslatorCodes,
    TranslatorOption,
    as_list,
    command_line,
    edit_languages,
    kept_as,
    require_alone,
    require_model,
    settings,
    sizes,
)
from polypatch.cli.prepare import prepare
from polypatch.data.source import WORLDS
from polypatch.errors import InputError
from polypatch.store.run_folder import claim

HOW, WHICH = "How to edit", "Which edits"

if TYPE_CHECKING:
    from polypatch.runs import Run

EXAMPLES = """[bold]Examples[/]

polypatch edit world --out runs/world --limit 100

polypatch edit my-model --data edits.jsonl --memory texts.txt --out runs/first

polypatch edit my-model --data edits.jsonl --memory texts.txt --recipe polypatch-linear --out runs/linear

polypatch edit my-model --data massive:data/massive --languages en,de,fr --eval-languages sw,th \
--recipe mpn-all --set learning_rate=3e-2 --set max_steps=300 --out runs/massive

polypatch edit my-model --data english.jsonl --memory texts.csv --translate-to de,fr --out runs/translated

polypatch edit world --out runs/world --limit 100 --resume

polypatch edit my-edits --add more.jsonl
"""


def edit(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|EDITS",
            help="A checkpoint folder, a hub name, or [bold]world[/]; with --add, saved edits or a RUN.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Folder for the edits and the report; not with --add.")
    ] = None,
    add: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Make these edits in the saved ones, as --data; they stay in their folder."),
    ] = None,
    data: Data = None,
    languages: Languages = None,
    eval_languages: EvalLanguages = None,
    memory: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help='Texts to leave alone: one a line, or {"lang", "text"} a line in .jsonl.'),
    ] = None,
    no_memory: Annotated[
        bool, typer.Option("--no-memory", help="Go without texts to leave alone: many other answers change then.")
    ] = False,
    memory_languages: Annotated[
        str | None, typer.Option(metavar="L,L,…", help="Languages of the memory. Default: all there are.")
    ] = None,
    recipe: Annotated[
        str, typer.Option(metavar="NAME", help="A row of [bold]polypatch ls recipes[/].", rich_help_panel=HOW)
    ] = "polypatch",
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting of the editor; [bold]polypatch ls RECIPE[/] lists them.",
            rich_help_panel=HOW,
        ),
    ] = None,
    net: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Of mend, ke, malmen: from polypatch train-editor.", rich_help_panel=HOW),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(metavar="N", help="Edit this layer, from 0, or -2 for the last but one.", rich_help_panel=HOW),
    ] = None,
    reads: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="What patches see: query, means, layers, as 0,4,8, or encoder:NAME, a sentence encoder in a folder or "
            "on the hub, as encoder:sentence-transformers/LaBSE; text or text:NAME for ike, remake and serac.",
            rich_help_panel=HOW,
        ),
    ] = None,
    retries: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Further attempts at an edit that did not take.", rich_help_panel=HOW),
    ] = 0,
    keep_failed: Annotated[
        bool,
        typer.Option("--keep-failed", help="Keep what a failed edit left, as published.", rich_help_panel=HOW),
    ] = False,
    max_locality_drop: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="POINTS",
            help="Take back an edit that changes more answers than this, in percentage points of the probe texts.",
            rich_help_panel=HOW,
        ),
    ] = None,
    probe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The probe texts, as for --memory. Default: the data's validation texts.",
            rich_help_panel=HOW,
        ),
    ] = None,
    allow_contradictions: Annotated[
        bool,
        typer.Option(
            "--allow-contradictions", help="Also edits that want two answers to one input.", rich_help_panel=HOW
        ),
    ] = False,
    trajectory_every: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Measure along the way, every so many edits.", rich_help_panel=HOW),
    ] = 0,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first so many edits.", rich_help_panel=WHICH)
    ] = None,
    order: Annotated[
        int | None, typer.Option(metavar="N", help="Shuffle the stream with this seed.", rich_help_panel=WHICH)
    ] = None,
    wrong_in_all: Annotated[
        bool,
        typer.Option(
            "--wrong-in-all", help="Only edits the model gets wrong in every edit language.", rich_help_panel=WHICH
        ),
    ] = False,
    folds: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Edit so many parts of it independently.", rich_help_panel=WHICH),
    ] = 1,
    translate_to: TranslateTo = None,
    translator: TranslatorOption = None,
    translator_code: TranslatorCodes = None,
    translation_cache: TranslationFile = None,
    renderings: Renderings = 1,
    min_confidence: MinConfidence = 0.0,
    parallel: Parallel = None,
    size: SizeOptions = None,
    seed: Seed = 0,
    cache: Cache = None,
    chat: Chat = False,
    answer_tokens: AnswerTokens = None,
    keep_memory: KeepMemory = None,
    device: Device = "auto",
    threads: Threads = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder: the same command, and this.")
    ] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Edit a model, measure what the edits did in every language, and keep both in a folder.

    With --add, make the edits of a file in saved edits, which keep their recipe
    and memory; after a kill the same command goes on.

    RUN gets report.html for a browser, report.md, report.json, answers.jsonl,
    cells.json and edits/ (edits-0/, … with --folds); the model stays as it is.
    Every edit is on disk (RUN/journal.sqlite) before the next begins: after
    Ctrl-C, a kill or a power cut the same command with --resume goes on, and
    ends bit for bit like a run that was never interrupted.
    """
    if add is not None:
        require_alone(ctx, WITH_ADD, "does not go with --add: the saved edits have their own")
        prepare(threads, quiet=quiet)
        from polypatch.cli.add import add_as_typed

        say(add_as_typed(ctx.params))
        return
    out = _require_sense(ctx.params)
    edited, measured, read = edit_languages(languages, eval_languages, translate_to)
    require_model(model)
    claim(out, overwrite, resume)
    prepare(threads, quiet=quiet)
    from polypatch.cli.edit_watcher import EditWatcher
    from polypatch.cli.results import show_results
    from polypatch.cli.translating import remedy, translating
    from polypatch.runs import BenchSpec
    from polypatch.runs.record import RunRequest, record_run

    spec = BenchSpec(model=model, data=data or model, languages=read, sizes=sizes(size), seed=seed, device=device)
    spec = replace(spec, parallel=str(parallel or ""), cache_dir=str(cache) if cache else None, chat=chat)
    spec = spec if answer_tokens is None else replace(spec, most=answer_tokens)
    request = RunRequest(
        spec=spec,
        run=_run_of(ctx.params, edited),
        folder=out,
        measured=measured,
        memory=memory,
        no_memory=no_memory,
        probe=probe,
        keep_memory=kept_as(keep_memory),
        command=command_line(ctx),
        resume=resume,
        overwrite=overwrite,
        remedy=remedy(translate_to),
    )
    translation = translating(ctx.params, out, measured)
    with Bars(quiet) as bars:
        translate = None if translation is None else partial(translation, bars=bars)
        results = record_run(request, EditWatcher(bars), translate)
    say(results.to_json()) if json else show_results(results, stdout())


def _run_of(given: Mapping[str, Any], languages: tuple[str, ...]) -> Run:
    from polypatch.recipes import recipe_named
    from polypatch.runs import Run

    names = (
        *("recipe", "layer", "reads", "seed", "order", "limit", "folds", "retries", "keep_failed", "max_locality_drop"),
        *("allow_contradictions", "trajectory_every", "wrong_in_all"),
    )
    net = {} if given["net"] is None else {"net": given["net"]}
    return Run(
        settings=settings(given["setting"], recipe_named(given["recipe"]).editor) | net,
        languages=languages,
        memory_languages=as_list(given["memory_languages"]),
        **{name: given[name] for name in names},
    )


WITH_ADD = (
    *("model", "add", "retries", "keep_failed", "allow_contradictions", "keep_memory", "device", "threads", "quiet"),
    *("json", "translate_to", "translator", "translator_code", "translation_cache", "renderings", "min_confidence"),
)


def _require_sense(given: Mapping[str, Any]) -> Path:
    """Refuse options that do not go together, are missing, or are of no use alone; the folder of the run."""
    if given["out"] is None:
        raise InputError("--out is missing: say in which folder edits and report are kept (see polypatch edit --help)")
    if given["resume"] and given["overwrite"]:
        raise InputError("--resume goes on with the run in the folder, --overwrite throws it away: give one of them")
    if given["probe"] is not None and given["max_locality_drop"] is None:
        raise InputError("--probe without --max-locality-drop: say how much an edit may cost, in percentage points")
    if given["data"] is None and given["model"] not in WORLDS:
        raise InputError("--data is missing: say what to edit, such as --data edits.jsonl")
    if given["no_memory"] and given["memory"] is not None:
        raise InputError("--memory and --no-memory: give one of them")
    return Path(given["out"])
