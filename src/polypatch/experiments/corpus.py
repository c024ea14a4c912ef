"""How much unlabelled parallel text mapped queries need."""

from __future__ import annotations

from dataclasses import replace

from polypatch.experiments.either import either
from polypatch.experiments.experiment import Contrast, Experiment, Materials, Scale, Table
from polypatch.runs import Run

SIZES = (50, 200, 1000, 5000)
WORLD_SIZES = (50, 200, 800)


def corpus(scale: Scale, given: Materials) -> Experiment:
    """One row per size of the corpus; no edit has a translation. On MASSIVE where it is named, else on the world."""
    whole, languages, memory = either(scale, given)
    plain = whole.tables[0].rows[0]
    row = Run(
        recipe="polypatch-linear-mapped",
        languages=languages,
        memory_languages=memory,
        limit=plain.limit,
        trajectory_every=plain.trajectory_every,
        allow_contradictions=True,
    )
    sizes = SIZES if given.data else WORLD_SIZES
    rows = tuple(replace(row, parallel=size, title=f"{size} rows") for size in sizes)
    contrasts = tuple(Contrast(row.name, rows[0].name) for row in rows[1:])
    return replace(
        whole,
        name="corpus",
        title="mapped queries by the size of the parallel text",
        tables=(Table(title="Mapped queries", rows=rows, contrasts=contrasts),),
    )
