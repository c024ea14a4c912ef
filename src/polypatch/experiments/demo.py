"""The demo's rows: those of Table 1 on the embedded world, one seed, one draw per edit; and the default.

They are computed in double precision, and by `polypatch demo` with kernels that every processor has: so their table has
the same digits everywhere.
"""

from __future__ import annotations

from dataclasses import replace

from polypatch.experiments.compare import compare
from polypatch.experiments.experiment import Experiment, Materials
from polypatch.experiments.rows import MPN
from polypatch.experiments.table1 import table1
from polypatch.recipes import DEFAULT
from polypatch.runs import BenchSpec, Run

LIMIT = 200
"""Edits of each row: what two cores do in a minute."""


def _rows(experiment: Experiment) -> tuple[Run, ...]:
    return tuple(row for row in experiment.tables[0].rows if row.recipe not in MPN)


_OURS = next(row for row in _rows(compare("small", Materials())) if row.name == DEFAULT)
"""Its memory is unlabelled text in all languages; the paper's rows have English memory."""

ROWS = tuple(
    replace(row, order=0, trajectory_every=0, limit=LIMIT) for row in (*_rows(table1("small", Materials())), _OURS)
)
"""The paper's rows and ours."""


def bench(seed: int) -> BenchSpec:
    """The world of `seed`, in double precision."""
    return BenchSpec(seed=seed, double=True)
