"""``polypatch try``: a text before and after the edits, and which edits speak up."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polypatch.cli.console import Bars, say, stdout
from polypatch.cli.options import (
    Data,
    Device,
    EditPrompts,
    Json,
    Langs,
    Model,
    NamedTexts,
    Quiet,
    Second,
    TextArguments,
    Threads,
    as_list,
)
from polypatch.cli.prepare import prepare
from polypatch.store.places import find_edits

if TYPE_CHECKING:
    from polypatch.edited_model import EditedModel

EXAMPLES = """[bold]Examples[/]

polypatch try runs/first/edits "wake me up at nine"

polypatch try runs/first/edits --text en="wake me up at nine" --text de="weck mich um neun"

polypatch try my-edits          [dim](asks for one text after another)[/]

polypatch try runs/world/edits --edit world-0248 --data world --lang en,zh,ar
"""


def try_texts(
    edits: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    texts: TextArguments = None,
    text: NamedTexts = None,
    second: Second = None,
    edit: EditPrompts = None,
    lang: Langs = None,
    model: Model = None,
    data: Data = None,
    device: Device = "auto",
    threads: Threads = 1,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Ask the model before and after the edits.

    Shows label, probability, and the patches that fire: by edit, with activation, the loudest first. Without a text it
    asks for one after another, until an empty line or Ctrl-D.
    """
    folder = find_edits(edits)
    prepare(threads, quiet=quiet)
    from polypatch.cli.asking import gather
    from polypatch.cli.saved import Saved
    from polypatch.cli.trying import answers, table, to_json

    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model, data=data, device=device)
        edited = None if texts or text or edit or json else saved.attach()
        if edited is None:
            found = answers(saved.attach(), gather(saved, texts, text, second, edit, as_list(lang)))
    if edited is not None:
        _converse(edited, second)
        return
    if json:
        say(to_json(found))
    else:
        stdout().print(table(found).to_console())


def _converse(edited: EditedModel, second: str | None) -> None:
    """One text after another from the terminal, or a line each where there is none."""
    from polypatch.cli.asking import Prompt
    from polypatch.cli.trying import answers, table

    with suppress(ImportError):  # where there is one, lines can be edited and come back
        import readline  # noqa: F401
    prompt = "text: " if sys.stdin.isatty() else ""
    while line := _line(prompt):
        asked = Prompt("", line if second is None else (line, second))
        stdout().print(table(answers(edited, [asked])).to_console())


def _line(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:
        return ""
