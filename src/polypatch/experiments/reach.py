"""Reach: edits in English alone, without a translation of any, measured in every language."""

from __future__ import annotations

from dataclasses import replace

from polypatch.experiments.either import either
from polypatch.experiments.experiment import Contrast, Experiment, Headline, Materials, Scale, Table
from polypatch.runs import Run

RECIPES = ("t-patcher", "polypatch-linear", "polypatch-linear-mapped", "polypatch")
"""One patch for the English text, trained and computed; queries mapped as well; the nearest edit acts."""

SHARES = (0.01, 0.04)
"""Of a language's memory that may be near enough to an edit: less and more than by default."""

MPN = "mpn-only-once"
"""Of the paper's rows the one with the highest CLG where the memory is in every language."""

CONTRASTS = tuple(Contrast("polypatch", other) for other in RECIPES[:-1])


def reach(scale: Scale, given: Materials) -> Experiment:
    """The streams of Table 1, or of MASSIVE where a model and data are named; the memory is in every language."""
    whole = either(scale, given).whole
    plain = next(row for row in whole.tables[-1].rows if row.name == "t-patcher")
    memory = plain.memory_languages or plain.languages
    ours = Run(
        recipe="polypatch",
        languages=memory[:1],
        memory_languages=memory,
        limit=plain.limit,
        allow_contradictions=True,
    )
    rows = [replace(ours, recipe=name, settings=plain.settings if name == plain.recipe else {}) for name in RECIPES]
    rows += [replace(ours, settings={"share": share}, title=f"polypatch, share {share:g}") for share in SHARES]
    rows.append(replace(ours, settings={"translations": 0.0}, title="polypatch, no parallel text"))
    rows.append(replace(ours, reads="query", title="polypatch, the query alone"))
    alone = Table(title="edits in English, no translation of any", rows=tuple(rows), contrasts=CONTRASTS)
    several = replace(ours, languages=whole.tables[0].rows[0].languages)
    one = replace(several, recipe="polypatch-one")
    mpn = replace(several, recipe=MPN, settings=plain.settings)
    rows = [mpn, one, replace(several, title=f"polypatch, {len(several.languages)} languages")]
    contrast = Contrast(one.recipe, MPN)
    with_some = Table(title="one translation drawn for each edit, and all", rows=tuple(rows), contrasts=(contrast,))
    never = tuple(lang for lang in memory if lang not in several.languages)
    found = replace(whole, name="reach", title="one fix in one language", tables=(alone, with_some))
    return replace(found, headline=Headline(ours, never) if never else None)
