"""MASSIVE: the real-data table that anyone can run, in Table 1's layout, with 6 and with 14 edit languages."""

from __future__ import annotations

from polypatch.edits import Lang
from polypatch.experiments.experiment import Experiment, Materials, Scale, Table
from polypatch.experiments.rows import CONTRASTS, paper_rows
from polypatch.experiments.settings import FINE_TUNING, MINI, PUBLISHED, PUBLISHED_TUNING
from polypatch.runs import BenchSpec

SIX = ("en", "de", "fr", "es", "zh", "ar")
FOURTEEN = (*SIX, "ru", "tr", "sw", "ur", "el", "hi", "th", "vi")

LIMIT = 200


def massive(scale: Scale, given: Materials) -> Experiment:
    """Four tables: 6 or 14 edit languages, memory in English (the paper's) or in all 14."""
    tables = [
        _table(scale, languages, memory)
        for languages in (SIX, FOURTEEN)
        for memory in ((), FOURTEEN)  # nothing: the source alone
    ]
    small = scale == "small"
    once = (0, 1, 2) if small else (0,)
    return Experiment(
        name="massive",
        title="intents, measured in 14 languages",
        notes=(
            "The paper has no such table."
            + (f" {LIMIT} edits of each shuffled test set; settings for small models." if small else ""),
            "`train` and `test` are English texts that are neither edited nor in the memory.",
        ),
        spec=BenchSpec(model=given.model, data=given.data, languages=FOURTEEN),
        tables=tuple(tables),
        seeds=once,
        orders=once,
    )


def _table(scale: Scale, languages: tuple[Lang, ...], memory: tuple[Lang, ...]) -> Table:
    small = scale == "small"
    rows = paper_rows(
        MINI if small else PUBLISHED,
        FINE_TUNING if small else PUBLISHED_TUNING,
        languages,
        per_step=languages == SIX and not memory,  # the paper's setting; these rows take as long as all others
        memory_languages=memory,
        limit=LIMIT if small else None,
        trajectory_every=50,
    )
    protected = "memory in 14" if memory else "English memory"
    return Table(title=f"{len(languages)} edit languages, {protected}", rows=rows, contrasts=CONTRASTS)
