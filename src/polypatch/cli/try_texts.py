"""``polypatch try``: a text before and after the edits, and which edits speak up."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text as Shown

from polypatch.cli.console import Bars, as_json, say, stdout
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
from polypatch.cli.shown import shown
from polypatch.rendering.grid import Grid, labels
from polypatch.store.places import find_edits

if TYPE_CHECKING:
    from polypatch.cli.asking import Prompt
    from polypatch.edited_model import EditedModel, Firing
    from polypatch.edits import Text

LOUDEST = 3

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

    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model, data=data, device=device)
        edited = None if texts or text or edit or json else saved.attach()
        if edited is None:
            found = _answers(saved.attach(), gather(saved, texts, text, second, edit, as_list(lang)))
    if edited is not None:
        _converse(edited, second)
        return
    if json:
        say(as_json([_plain(one) for one in found]))
    else:
        stdout().print(_table(found).to_console())


def _converse(edited: EditedModel, second: str | None) -> None:
    """One text after another from the terminal, or a line each where there is none."""
    from polypatch.cli.asking import Prompt

    with suppress(ImportError):  # where there is one, lines can be edited and come back
        import readline  # noqa: F401
    prompt = "text: " if sys.stdin.isatty() else ""
    while line := _line(prompt):
        asked = Prompt("", line if second is None else (line, second))
        stdout().print(_table(_answers(edited, [asked])).to_console())


def _line(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:
        return ""


@dataclass(frozen=True)
class BeforeAfter:
    """What the model says, without and with its edits.

    Attributes:
        asked: the text.
        before, after: label and probability.
        firing: the patches at work, the loudest first.
    """

    asked: Prompt
    before: tuple[str, float]
    after: tuple[str, float]
    firing: Sequence[Firing]


def _answers(edited: EditedModel, asked: Sequence[Prompt]) -> list[BeforeAfter]:
    """Every text before and after."""
    texts = [one.text for one in asked]
    after = _said(edited, texts)
    with edited.disabled():
        before = _said(edited, texts)
    firing = [edited.firing(text) for text in texts]
    return [BeforeAfter(*row) for row in zip(asked, before, after, firing, strict=True)]


def _table(found: Sequence[BeforeAfter]) -> Grid:
    """One row per text; a changed answer stands out, and so does whether it is the one wanted."""
    languages, wanted = any(one.asked.lang for one in found), any(one.asked.wanted for one in found)
    titles = [*(["Language"] if languages else []), "Text", *(["Wanted"] if wanted else []), "Before", "After"]
    rows = []
    for one in found:
        changed = one.before[0] != one.after[0]
        row = [one.asked.lang] if languages else []
        row.append(shown(one.asked.text))
        row += [one.asked.wanted] if wanted else []
        cells = [Shown(cell) for cell in row]
        rows.append((*cells, _label(one.before), _label(one.after, "bold" if changed else ""), Shown(_loudest(one))))
    return labels((*titles, "Patches that fire"), rows)


def _plain(one: BeforeAfter) -> dict[str, Any]:
    return {
        "lang": one.asked.lang or None,
        "text": one.asked.text,
        "wanted": one.asked.wanted or None,
        "before": dict(zip(("label", "probability"), one.before, strict=True)),
        "after": dict(zip(("label", "probability"), one.after, strict=True)),
        "firing": [fired.to_plain() for fired in one.firing],
    }


def _said(edited: EditedModel, texts: Sequence[Text]) -> list[tuple[str, float]]:
    spoken = edited.spoken(texts)
    return list(zip(spoken.answers, spoken.probability.tolist(), strict=True))


def _label(said: tuple[str, float], style: str = "") -> Shown:
    return Shown.assemble((said[0], style), f" {said[1]:.2f}")


def _loudest(one: BeforeAfter) -> str:
    if not one.firing:
        return "–"
    shown = ", ".join(f"{fired.edit_id} {fired.activation:.2f}" for fired in one.firing[:LOUDEST])
    more = len(one.firing) - LOUDEST
    return f"{shown}, … {more} more" if more > 0 else shown
