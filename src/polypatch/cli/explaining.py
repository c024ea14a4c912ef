"""The work behind ``polypatch explain``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text as Shown

from polypatch.cli.asking import Asked
from polypatch.cli.saved import Saved
from polypatch.cli.shown import shown
from polypatch.deltas.kinds import KINDS
from polypatch.evaluation.strict_json import to_json as as_json
from polypatch.model.explain import Answer, Cause, Explanation
from polypatch.rendering.grid import Grid, labels


@dataclass(frozen=True)
class Explained:
    """One text and why it is answered as it is; `patches` is False where the edits changed weights."""

    asked: Asked
    why: Explanation
    patches: bool


def explanations(saved: Saved, asked: Sequence[Asked]) -> list[Explained]:
    """Every text explained."""
    edited = saved.attach()
    edited.tail.encode(edited.readout.rows([one.text for one in asked]))  # in one pass
    patches = KINDS[saved.config["delta"]].in_parts
    return [Explained(one, edited.explain(one.text), patches) for one in asked]


def show(found: Sequence[Explained], console: Console) -> None:
    """For people: a text, its answers, and a table of the patches that fire."""
    for i, one in enumerate(found):
        if i:
            console.print()
        console.print(_heading(one), soft_wrap=True)
        console.print(_answers(one))
        if one.why.causes:
            console.print(_causes(one.why).to_console())
            if (more := one.why.firing - len(one.why.causes)) > 0:
                console.print(f"  … and {more} more patches that fire, each weaker than these")


def to_json(found: Sequence[Explained]) -> str:
    """One object per text."""
    return as_json(
        [
            {
                "lang": one.asked.lang or None,
                "text": one.asked.text,
                "wanted": one.asked.wanted or None,
                "answer": _plain(one.why.answer),
                "unedited": _plain(one.why.unedited),
                "firing": one.why.firing,
                "causes": [_cause(cause) for cause in one.why.causes],
            }
            for one in found
        ]
    )


def _heading(one: Explained) -> Shown:
    lang = f"{one.asked.lang}  " if one.asked.lang else ""
    return Shown.assemble((lang, "dim"), (shown(one.asked.text), "bold"))


def _answers(one: Explained) -> Shown:
    why = one.why
    line = Shown.assemble("  ", (why.answer.label, "bold"), f" {why.answer.probability:.2f}")
    line.append(f"   unedited: {_said(why.unedited)}")
    if one.asked.wanted:
        line.append(f"   wanted: {one.asked.wanted}", "green" if one.asked.wanted == why.answer.label else "red")
    if not one.patches:
        line.append("   these edits changed weights, so there are no patches to name")
    elif not why.causes:
        line.append("   no patch fires")
    return line


def _causes(why: Explanation) -> Grid:
    rows = []
    for cause in why.causes:
        changed = cause.without.label != why.answer.label
        without = Shown(_said(cause.without), "bold" if changed else "dim")
        numbers = (Shown(f"{cause.activation:.2f}"), Shown(f"{cause.push:+.2f}"))
        rows.append((Shown(shown(cause.edit_id, 30)), Shown(_request(cause)), without, *numbers))
    return labels(("Edit", "What was asked for", "Without it", "Activation", "Push"), rows, numbers=2)


def _said(answer: Answer) -> str:
    return f"{answer.label} {answer.probability:.2f}"


def _request(cause: Cause) -> str:
    edit = None if cause.record is None else cause.record.edit
    return "not kept" if edit is None else f"{shown(edit.prompt[edit.source], 80)} → {edit.target_in(edit.source)}"


def _plain(answer: Answer) -> dict[str, Any]:
    return {"label": answer.label, "probability": answer.probability}


def _cause(cause: Cause) -> dict[str, Any]:
    edit = None if cause.record is None else cause.record.edit
    request = None
    if edit is not None:
        request = {"lang": edit.source, "prompt": edit.prompt[edit.source], "target": edit.target_in(edit.source)}
    return {
        "edit": cause.edit_id,
        "request": request,
        "status": None if cause.record is None else cause.record.status,
        "activation": cause.activation,
        "push": cause.push,
        "without": _plain(cause.without),
    }
