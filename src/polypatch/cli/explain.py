"""``polypatch explain``: why the model answers what it answers."""

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

polypatch explain my-edits "wake me up at nine"

polypatch explain my-edits --text de="weck mich um neun" --text zh=明天九点叫我

polypatch explain my-edits --edit fever-17 --lang en,ar --json
"""


def explain(
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
    """Which patches fire in a text, whose they are, and what the answer would be without them.

    For every text: the answer, what the unedited model says, and for each firing
    patch its edit and that edit's request, its activation, its push on the logit
    of the answer, and the answer if it alone were absent.
    """
    folder = find_edits(edits)
    prepare(threads, quiet=quiet)
    from polypatch.cli.asking import gather
    from polypatch.cli.explaining import explanations, show, to_json
    from polypatch.cli.saved import Saved

    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model, data=data)
        found = explanations(saved, gather(saved, texts, text, second, edit, as_list(lang)))
    if json:
        say(to_json(found))
    else:
        show(found, stdout())
