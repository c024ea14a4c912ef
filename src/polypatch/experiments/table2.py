"""Table 2: XNLI in 15 languages, without rephrases, so without MLG."""

from __future__ import annotations

from polypatch.experiments.experiment import Experiment, Materials, Scale, Table
from polypatch.experiments.published import TABLE_2
from polypatch.experiments.rows import CONTRASTS, paper_rows
from polypatch.experiments.settings import FINE_TUNING, MINI, PUBLISHED, PUBLISHED_TUNING
from polypatch.runs import BenchSpec

LANGUAGES = ("en", "ar", "bg", "de", "el", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")

LIMIT = 100


def table2(scale: Scale, given: Materials) -> Experiment:
    """Fine-tuning, Transformer-Patcher and MPN (only) on XNLI's test rows."""
    small = scale == "small"
    rows = paper_rows(
        MINI if small else PUBLISHED,
        FINE_TUNING if small else PUBLISHED_TUNING,
        LANGUAGES,
        mpn=("mpn-only",),
        limit=LIMIT if small else None,
        trajectory_every=50 if small else 500,
    )
    notes = (
        f"{LIMIT} test rows, a small model trained on part of XNLI's dev rows; memory and Locality are other dev rows, "
        "many of which it was trained on.",
    )
    once = (0, 1, 2) if small else (0,)
    return Experiment(
        name="table2",
        title="premise and hypothesis in 15 languages",
        notes=notes if small else ("The published hyper-parameters, one stream of all test rows.",),
        spec=BenchSpec(model=given.model, data=given.data, languages=LANGUAGES),
        tables=(Table(title="Table 2", rows=rows, published=TABLE_2, contrasts=CONTRASTS),),
        seeds=once,
        orders=once,
    )
