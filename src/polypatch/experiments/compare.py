"""The comparison: MPN and polypatch's own recipe, on the same streams, with the same memory."""

from __future__ import annotations

from dataclasses import replace

from polypatch.edits import Lang
from polypatch.experiments.either import either
from polypatch.experiments.experiment import Contrast, Experiment, Materials, Scale, Table
from polypatch.experiments.table1 import LANGUAGES
from polypatch.runs import Run

OURS = (
    *("polypatch", "polypatch-one"),
    *("polypatch-linear", "polypatch-linear-one", "polypatch-linear-mapped", "polypatch-linear-one-mapped"),
    "polypatch-linear-both",
)
"""By nearness: all true parallels; one, as MPN draws it. With a linear threshold: the same two; none, but queries
mapped; one and the others mapped; all and mapped."""

PRUNED = ("polypatch-linear", "polypatch-linear-one")
"""Also with patches dropped and merged at the end."""

SAME_MEMORY = "mpn-all-once, memory in 6"

CONTRASTS = (
    Contrast("polypatch", "t-patcher"),
    *(Contrast(better, mpn) for better in OURS for mpn in ("mpn-all-once", SAME_MEMORY)),
    Contrast("polypatch", "mpn-all"),
    Contrast("polypatch", "polypatch-linear"),
    Contrast("polypatch-one", "polypatch-linear-one"),
    Contrast("polypatch-linear-mapped", "t-patcher"),
    Contrast("polypatch-linear-both", "polypatch-linear"),
    *(Contrast(f"{name}, pruned", name) for name in PRUNED),
)


def compare(scale: Scale, given: Materials) -> Experiment:
    """Table 1's streams, or MASSIVE's where a model and data are named, with polypatch's rows added.

    Its memory is in all languages, which is how it is meant to be used; the tables of MASSIVE hold both memories.
    """
    whole = either(scale, given).whole
    return replace(
        whole,
        name="compare",
        title="every recipe on the same streams",
        tables=tuple(_with_ours(table) for table in whole.tables),
    )


def _with_ours(table: Table) -> Table:
    plain = next(row for row in table.rows if row.name == "t-patcher")
    # On the world Table 1 has English memory, the paper's; ours is unlabelled text in every language.
    memory: tuple[Lang, ...] = plain.memory_languages or (() if "English memory" in table.title else LANGUAGES)
    ours = Run(
        recipe="polypatch",
        languages=plain.languages,
        memory_languages=memory,
        limit=plain.limit,
        trajectory_every=plain.trajectory_every,
        allow_contradictions=True,
    )
    pruned = (replace(ours, recipe=name, prune=True, title=f"{name}, pruned") for name in PRUNED)
    rows = (*table.rows, *(replace(ours, recipe=name) for name in OURS), *pruned)
    if memory and not plain.memory_languages:
        # So that the memory is not what makes the difference, MPN has a row with it, too.
        mpn = (row for row in table.rows if row.name == "mpn-all-once")
        rows += tuple(replace(row, memory_languages=memory, title=SAME_MEMORY) for row in mpn)
    return replace(table, rows=rows, contrasts=CONTRASTS)
