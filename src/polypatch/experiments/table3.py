"""Table 3: the edits that the unedited model gets wrong in all six languages."""

from __future__ import annotations

from dataclasses import replace

from polypatch.experiments.experiment import Experiment, Materials, Scale, Table
from polypatch.experiments.published import TABLE_3
from polypatch.experiments.rows import CONTRASTS
from polypatch.experiments.table1 import table1


def table3(scale: Scale, given: Materials) -> Experiment:
    """Table 1's runs on the edits that are wrong everywhere."""
    whole = table1(scale, given)
    rows = tuple(replace(row, wrong_in_all=True, limit=None) for row in whole.tables[0].rows)
    return replace(
        whole,
        name="table3",
        title="edits that are wrong in all six languages",
        notes=tuple(note.replace("500 edits", "all edits that are wrong in all six languages") for note in whole.notes),
        tables=(Table(title="Table 3", rows=rows, published=TABLE_3, contrasts=CONTRASTS),),
    )
