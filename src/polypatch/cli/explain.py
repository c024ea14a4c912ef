"""``polypatch explain``: why the model answers what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
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
from polypatch.deltas.kinds import KINDS
from polypatch.rendering.grid import Grid, labels
from polypatch.store.places import find_edits

if TYPE_CHECKING:
    from polypatch.cli.asking import Prompt
    from polypatch.model.explain import Cause, Explanation

LOUDEST = 3
"""Patches that are named per token."""

EXAMPLES = """[bold]Examples[/]

polypatch explain my-edits "wake me up at nine"

polypatch explain my-edits --text de="weck mich um neun" --text zh=明天九点叫我

polypatch explain my-edits --edit fever-17 --lang en,ar --json
"""


def explain(
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
    """Which patches fire in a text, whose they are, and what the answer would be without them.

    For every text: the answer, what the unedited model says, and for each firing
    patch its edit and that edit's request, its activation, its push on the logit
    of the answer, and the answer if it alone were absent. What a language model
    writes is explained token by token.
    """
    folder = find_edits(edits)
    prepare(threads, quiet=quiet)
    from polypatch.cli.asking import gather
    from polypatch.cli.saved import Saved

    with Bars(quiet) as bars:
        saved = Saved(folder, bars, model=model, data=data, device=device)
        prompts = gather(saved, texts, text, second, edit, as_list(lang))
        edited = saved.attach()
        edited.tail.encode(edited.readout.rows([one.text for one in prompts]))  # in one pass
        found = [(one, edited.explain(one.text)) for one in prompts]
    if json:
        say(as_json([{"lang": one.lang or None, "wanted": one.wanted or None, **why.to_plain()} for one, why in found]))
    else:
        _show(found, stdout(), patches=KINDS[saved.config["delta"]].in_parts)


def _show(found: Sequence[tuple[Prompt, Explanation]], console: Console, *, patches: bool) -> None:
    """A text, its answers, and a table of the patches that fire."""
    for i, (prompt, why) in enumerate(found):
        if i:
            console.print()
        lang = f"{prompt.lang}  " if prompt.lang else ""
        console.print(Shown.assemble((lang, "dim"), (shown(prompt.text), "bold")), soft_wrap=True)
        console.print(_answers(prompt, why, patches))
        if why.causes:
            if why.tokens:
                console.print(_tokens(why).to_console())
            console.print(_causes(why).to_console())
            if (more := why.firing - len(why.causes)) > 0:
                console.print(f"  … and {more} more patches that fire, each weaker than these")


def _answers(prompt: Prompt, why: Explanation, patches: bool) -> Shown:
    line = Shown.assemble("  ", (why.answer.label, "bold"), f" {why.answer.probability:.2f}")
    line.append(f"   unedited: {why.unedited}")
    if prompt.wanted:
        line.append(f"   wanted: {prompt.wanted}", "green" if prompt.wanted == why.answer.label else "red")
    if not patches:
        line.append("   these edits changed weights, so there are no patches to name")
    elif not why.causes:
        line.append("   no patch fires")
    return line


def _tokens(why: Explanation) -> Grid:
    """Each token of what a language model writes, and the patches that fire where it is said."""
    rows = []
    for token in why.tokens:
        named = [f"{shown(one.edit_id, 30)} {one.activation:.2f}" for one in token.firing[:LOUDEST]]
        more = len(token.firing) - LOUDEST
        said = ", ".join(named) + (f", … {more} more" if more > 0 else "")
        rows.append((Shown(shown(token.token.strip() or repr(token.token))), Shown(said or "–")))
    return labels(("Token", "Patches that fire"), rows)


def _causes(why: Explanation) -> Grid:
    rows = []
    for cause in why.causes:
        changed = cause.without.label != why.answer.label
        without = Shown(str(cause.without), "bold" if changed else "dim")
        numbers = (Shown(f"{cause.activation:.2f}"), Shown(f"{cause.push:+.2f}"))
        rows.append((Shown(shown(cause.edit_id, 30)), Shown(_request(cause)), without, *numbers))
    return labels(("Edit", "What was asked for", "Without it", "Activation", "Push"), rows, numbers=2)


def _request(cause: Cause) -> str:
    edit = None if cause.record is None else cause.record.edit
    return "not kept" if edit is None else f"{shown(edit.prompt[edit.source], 80)} → {edit.target_in(edit.source)}"
