"""``polypatch train-editor``: a model and a recipe whose editor has a net; a folder with the net, for --net."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polypatch.cli.console import Bars, Stop, say
from polypatch.cli.options import (
    AnswerTokens,
    Cache,
    Chat,
    Data,
    Device,
    Json,
    Overwrite,
    Parallel,
    Quiet,
    Seed,
    SizeOptions,
    Threads,
    as_list,
    command_line,
    require_model,
    settings,
    sizes,
)
from polypatch.cli.prepare import prepare
from polypatch.data.source import WORLDS
from polypatch.errors import InputError, StoppedError

if TYPE_CHECKING:
    from polypatch.recipes import Recipe
    from polypatch.training.net_course import NetTraining

EXAMPLES = """[bold]Examples[/]

polypatch train-editor world --recipe mend --set steps=20 --out mend-world

polypatch train-editor my-model --recipe malmen-mpn --data massive:data/massive --languages en,de,fr --out malmen-net

polypatch train-editor my-model --recipe ke --data edits.jsonl --memory texts.txt --out ke-net --resume
"""


def train_editor(
    ctx: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A checkpoint folder, a hub name, world or speaking-world.")
    ],
    recipe: Annotated[str, typer.Option(metavar="NAME", help="A row with a net: mend, ke, malmen, …")] = "mend",
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the net goes.")] = None,
    data: Data = None,
    languages: Annotated[str | None, typer.Option(metavar="L,L,…", help="Languages to read, the source first.")] = None,
    memory: Annotated[Path | None, typer.Option(metavar="FILE", help="Texts to leave alone, as for edit.")] = None,
    parallel: Parallel = None,
    size: SizeOptions = None,
    layer: Annotated[
        int | None, typer.Option(metavar="N", help="The layer that will be edited; as for polypatch edit.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Of the training or the editor, such as steps=1000, rank=64."),
    ] = None,
    seed: Seed = 0,
    cache: Cache = None,
    chat: Chat = False,
    answer_tokens: AnswerTokens = None,
    device: Device = "auto",
    threads: Threads = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training that was interrupted: the same command, and this.")
    ] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train the net of MEND, KE or MALMEN, for one model.

    It practises on parallel text of the data, or on the memory where there is
    none, with answers that are not the model's. It sees no edit, no rephrase
    and no locality set of the data, so all of these can be measured on.

    Until FOLDER is there FOLDER.training holds all that was done: after Ctrl-C, a
    kill or a power cut the same command with --resume goes on, and ends bit for
    bit like a training that was never interrupted.
    """
    if out is None:
        raise InputError("--out is missing: say where the net goes")
    if resume and overwrite:
        raise InputError("--resume goes on with what is there, --overwrite throws it away: give one of them")
    if data is None and model not in WORLDS:
        raise InputError("--data is missing: say which texts to practise on, such as --data edits.jsonl")
    require_model(model)
    prepare(threads, quiet=quiet)
    from polypatch.data.memory import read_memory, with_memory
    from polypatch.evaluation.strict_json import to_json
    from polypatch.recipes import recipe_named
    from polypatch.runs import BenchSpec
    from polypatch.training.editor import NetRequest, trainable
    from polypatch.training.editor import train_editor as train

    row, training = _settled(recipe_named(recipe), setting, seed)
    trainable(row)
    spec = BenchSpec(model=model, data=data or model, languages=as_list(languages), sizes=sizes(size), seed=seed)
    spec = replace(
        spec, parallel=str(parallel or ""), cache_dir=str(cache) if cache else None, device=device, chat=chat
    )
    spec = spec if answer_tokens is None else replace(spec, most=answer_tokens)
    with Bars(quiet) as bars:
        bench = spec.open(bars.opening)
        texts = bench.data
        if memory is not None:
            texts = with_memory(texts, read_memory(memory, texts.edits[0].source))
        request = NetRequest(recipe=row, training=training, command=command_line(ctx))
        with Stop(lambda: bars.say("stopping after this step; Ctrl-C once more gives it up")) as stop:
            result = train(
                request,
                bench.tail_at(layer),
                texts,
                out,
                resume=resume,
                overwrite=overwrite,
                report=lambda done, total, note: bars.update(f"training {recipe}", done, total, note),
                stopping=lambda: stop.asked,
            )
    if result is None:
        raise StoppedError(f"{out}.training holds what was done; the same command with --resume goes on")
    say(to_json({"folder": str(result.folder), **result.facts}) if json else str(result))


def _settled(row: Recipe, given: list[str] | None, seed: int) -> tuple[Recipe, NetTraining]:
    """The recipe and the training with what --set says of either."""
    from polypatch.training.net_course import NetTraining

    training: Any = NetTraining(seed=seed)
    editor: Any = row.editor
    own = {field.name for field in fields(training)} - {"seed"}
    of_training = [one for one in given or () if one.partition("=")[0].strip() in own]
    of_editor = settings([one for one in given or () if one not in of_training], editor)
    known = {field.name for field in fields(editor)} - {"net"}
    for name in of_editor:
        if name not in known:
            raise InputError(
                f"--set {name}: neither the training nor the editor has it: {', '.join(sorted(own | known))}"
            )
    return replace(row, editor=replace(editor, **of_editor)), replace(training, **settings(of_training, training))
