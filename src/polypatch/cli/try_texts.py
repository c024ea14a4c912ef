"""``polypatch try``: a text before and after the edits, and which edits speak up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polypatch.cli.console import Bars, say, stdout
from polypatch.cli.options import (
    Data,
    EditPrompts,
    Json,
    Langs,
    Model,
    NamedTexts,
    Quiet,
    Second,
    Texts,
    Threads,
    as_list,
)
from polypatch.cli.prepare import prepare
from polypatch.store.places import find_edits

EXAMPLES = """[bold]Examples[/]

polypatch try runs/first/edits "wake me up at nine"

polypatch try runs/first/edits --text en="wake me up at nine" --text de="weck mich um neun"

polypatch try runs/world/edits --edit world-0248 --data world --lang en,zh,ar
"""


def try_texts(
    edits: Annotated[Path, typer.Argument(metavar="EDITS", help="A folder of saved edits, or the RUN that has them.")],
    texts: Texts = None,
    text: NamedTexts = None,
    second: Second = None,
    edit: EditPrompts = None,
    lang: Langs = None,
    model: Model = None,
    data: Data = None,
    threads: Threads = 1,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Ask the model before and after the edits.

    Shows label, probability, and the patches that fire: by edit, with activation, the loudest first.
    """
    folder = find_edits(edits)
    prepare(threads, quiet=quiet)
    from polypatch.cli.asking import gather
    from polypatch.cli.saved import Saved
    from polypatch.cli.trying import answers, table, to_json

    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model, data=data)
        found = answers(saved, gather(saved, texts, text, second, edit, as_list(lang)))
    if json:
        say(to_json(found))
    else:
        stdout().print(table(found).to_console())
