"""``polypatch try``: a text before and after the edits, and which edits speak up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polypatch.cli.console import Bars, say, stdout
from polypatch.cli.folder import find_edits
from polypatch.cli.options import Data, Json, Quiet, Threads, as_list, pairs
from polypatch.cli.prepare import prepare

EXAMPLES = """[bold]Examples[/]

polypatch try runs/first/edits "wake me up at nine"

polypatch try runs/first/edits --text en="wake me up at nine" --text de="weck mich um neun"

polypatch try runs/world/edits --edit E0012 --data world --lang en,zh,ar
"""


def try_texts(
    edits: Annotated[Path, typer.Argument(metavar="RUN/edits", help="A folder of saved edits.")],
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="What to ask the model.")] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", metavar="LANG=TEXT", help="A text and its language; repeat for more.")
    ] = None,
    second: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The second text of a pair (the hypothesis), for models that read pairs."),
    ] = None,
    edit: Annotated[str | None, typer.Option(metavar="ID", help="The prompts of this edit of the data.")] = None,
    lang: Annotated[
        str | None, typer.Option(metavar="L,L,…", help="Languages of the TEXTs, in order; with --edit, which to show.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The model they were made on. Default: the one they name.")
    ] = None,
    data: Data = None,
    threads: Threads = 1,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Ask the model before and after the edits.

    Shows label, probability, and the patches that fire: by edit, with activation, the loudest first.
    """
    folder = find_edits(edits)
    prepare(threads)
    from polypatch.cli.saved import Saved
    from polypatch.cli.trying import Asked, answers, prompts_of, table, to_json

    langs = as_list(lang)
    asked = [Asked(langs[i] if i < len(langs) else "", one) for i, one in enumerate(texts or ())]
    asked += [Asked(name, one) for name, one in pairs(text, "--text").items()]
    if second is not None:
        asked = [Asked(one.lang, (str(one.text), second)) for one in asked]
    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model, data=data)
        if edit is not None:
            asked += prompts_of(saved, edit, langs)
        found = answers(saved, asked)
    if json:
        say(to_json(found))
    else:
        stdout().print(table(found))
