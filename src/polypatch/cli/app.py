"""The table of verbs."""

from __future__ import annotations

from typing import Annotated

import typer

from polypatch._version import __version__
from polypatch.cli import (
    check,
    demo,
    desk,
    edit,
    evaluate,
    explain,
    fix,
    log,
    ls,
    merge,
    predict,
    prune,
    reproduce,
    revert,
    save,
    serve,
    train,
    train_editor,
    try_texts,
    world,
)
from polypatch.cli import data as data_sets
from polypatch.cli.console import stdout

app = typer.Typer(
    name="polypatch",
    help="One fix, every language: correct a multilingual model once, and the correction holds in all languages.",
    epilog=(
        "Start here: [bold]polypatch demo[/] edits the model of a small six-language world in five ways, offline, "
        "in a minute.\n\nYour own: "
        '[bold]polypatch fix MODEL "the sentence" label --de "der Satz" --memory texts.txt --out my-edits[/]'
    ),
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("edit", epilog=edit.EXAMPLES)(edit.edit)
app.command("fix", epilog=fix.EXAMPLES, context_settings=fix.CONTEXT)(fix.fix)
app.command("eval", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("check", epilog=check.EXAMPLES)(check.check)
app.command("try", epilog=try_texts.EXAMPLES)(try_texts.try_texts)
app.command("predict", epilog=predict.EXAMPLES)(predict.predict)
app.command("explain", epilog=explain.EXAMPLES)(explain.explain)
app.command("log", epilog=log.EXAMPLES)(log.log)
app.command("save", epilog=save.EXAMPLES)(save.save)
app.command("revert", epilog=revert.EXAMPLES)(revert.revert)
app.command("prune", epilog=prune.EXAMPLES)(prune.prune)
app.command("merge", epilog=merge.EXAMPLES)(merge.merge)
app.command("ls", epilog=ls.EXAMPLES)(ls.ls)
app.add_typer(world.app, name="world")
app.add_typer(data_sets.app, name="data")
app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("train-editor", epilog=train_editor.EXAMPLES)(train_editor.train_editor)
app.command("reproduce", epilog=reproduce.EXAMPLES)(reproduce.reproduce)
app.command("desk", epilog=desk.EXAMPLES)(desk.desk)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)


@app.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        typer.echo(f"polypatch {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        stdout().print(ctx.get_help())
