"""Table 1: every edit of XFEVER, or of the embedded world."""

from __future__ import annotations

from polypatch.experiments.experiment import Experiment, Materials, Scale, Table
from polypatch.experiments.published import TABLE_1
from polypatch.experiments.rows import CONTRASTS, paper_rows
from polypatch.experiments.settings import FINE_TUNING, PUBLISHED, PUBLISHED_TUNING, WORLD
from polypatch.runs import BenchSpec

LANGUAGES = ("en", "de", "fr", "es", "zh", "ar")

LIMIT = 500
"""Edits of the world's shuffled stream; with more, patches break more of what was right (docs/tables/paper.md)."""


def table1(scale: Scale, given: Materials) -> Experiment:
    """Fine-tuning, Transformer-Patcher and MPN on a whole stream."""
    if scale == "full":
        rows = paper_rows(PUBLISHED, PUBLISHED_TUNING, LANGUAGES, trajectory_every=500)
        spec = BenchSpec(model=given.model, data=given.data, languages=LANGUAGES)
        notes = ("The published hyper-parameters, one stream of all edits.",)
        once: tuple[int, ...] = (0,)
    else:
        # A patch that does not take is tried once more, in the same languages; the released code does not try again.
        rows = paper_rows(WORLD, FINE_TUNING, LANGUAGES, limit=LIMIT, retries=1, trajectory_every=50)
        spec = BenchSpec()
        notes = (
            f"The embedded world and its small BERT instead of XFEVER and mBERT; {LIMIT} edits, English memory. Each "
            "seed is a world of its own.",
        )
        once = (0, 1, 2)
    return Experiment(
        name="table1",
        title="every edit of a stream",
        notes=notes,
        spec=spec,
        tables=(Table(title="Table 1", rows=rows, published=TABLE_1, contrasts=CONTRASTS),),
        seeds=once,
        orders=once,
        one_stream=scale == "full",
    )
