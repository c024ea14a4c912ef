"""The demo's rows: those of Tables 1 and 3 on the embedded world, on one seed, one draw per edit; and the default."""

from __future__ import annotations

from dataclasses import replace

from polypatch.experiments.compare import compare
from polypatch.experiments.experiment import Experiment, Materials
from polypatch.experiments.rows import MPN
from polypatch.experiments.table1 import table1
from polypatch.experiments.table3 import table3
from polypatch.recipes import DEFAULT
from polypatch.runs import Run


def _rows(experiment: Experiment) -> tuple[Run, ...]:
    return tuple(row for row in experiment.tables[0].rows if row.recipe not in MPN)


_OURS = next(row for row in _rows(compare("small", Materials())) if row.name == DEFAULT)
"""Its memory is unlabelled text in all languages; the paper's rows have English memory."""

TABLE_1 = tuple(replace(row, order=0, trajectory_every=0) for row in (*_rows(table1("small", Materials())), _OURS))
"""The paper's rows and ours."""

TABLE_3 = tuple(
    replace(row, order=0, trajectory_every=0)
    for row in (*_rows(table3("small", Materials())), replace(_OURS, wrong_in_all=True, limit=None))
)
"""The same on the edits that the unedited model gets wrong in every language."""
