"""The work behind ``polypatch try``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text as Shown

from polypatch.cli.asking import Prompt
from polypatch.cli.shown import shown
from polypatch.edited_model import EditedModel, Firing
from polypatch.edits import Text
from polypatch.evaluation.strict_json import to_json as as_json
from polypatch.rendering.grid import Grid, labels

LOUDEST = 3


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


def answers(edited: EditedModel, asked: Sequence[Prompt]) -> list[BeforeAfter]:
    """Every text before and after."""
    texts = [one.text for one in asked]
    after = _said(edited, texts)
    with edited.disabled():
        before = _said(edited, texts)
    firing = [edited.firing(text) for text in texts]
    return [BeforeAfter(*row) for row in zip(asked, before, after, firing, strict=True)]


def table(found: Sequence[BeforeAfter]) -> Grid:
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


def to_json(found: Sequence[BeforeAfter]) -> str:
    """One object per text."""
    return as_json(
        [
            {
                "lang": one.asked.lang or None,
                "text": one.asked.text,
                "wanted": one.asked.wanted or None,
                "before": dict(zip(("label", "probability"), one.before, strict=True)),
                "after": dict(zip(("label", "probability"), one.after, strict=True)),
                "firing": [{"edit": fired.edit_id, "activation": fired.activation} for fired in one.firing],
            }
            for one in found
        ]
    )


def _said(edited: EditedModel, texts: Sequence[Text]) -> list[tuple[str, float]]:
    best = edited.probabilities(texts).max(-1)
    said = [edited.readout.answer([i]) for i in best.indices.tolist()]
    return list(zip(said, best.values.tolist(), strict=True))


def _label(said: tuple[str, float], style: str = "") -> Shown:
    return Shown.assemble((said[0], style), f" {said[1]:.2f}")


def _loudest(one: BeforeAfter) -> str:
    if not one.firing:
        return "–"
    shown = ", ".join(f"{fired.edit_id} {fired.activation:.2f}" for fired in one.firing[:LOUDEST])
    more = len(one.firing) - LOUDEST
    return f"{shown}, … {more} more" if more > 0 else shown
