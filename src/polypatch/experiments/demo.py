"""The demo's rows: those of Tables 1 and 3 on the embedded world, on one seed, with one draw per edit."""

from __future__ import annotations

from dataclasses import replace

from polypatch.experiments.experiment import Materials
from polypatch.experiments.table1 import table1
from polypatch.experiments.table3 import table3
from polypatch.runs import Run


def _rows(rows: tuple[Run, ...]) -> tuple[Run, ...]:
    return tuple(replace(row, order=0, trajectory_every=0) for row in rows if row.redraw != "per_step")


TABLE_1 = _rows(table1("small", Materials()).tables[0].rows)
"""The paper's rows."""

TABLE_3 = _rows(table3("small", Materials()).tables[0].rows)
"""The same on the edits that the unedited model gets wrong in every language."""
