"""Transfer: what an edit that was trained in one language mends in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polypatch.edits import Lang
from polypatch.errors import InputError
from polypatch.evaluation.cells import Cells
from polypatch.evaluation.report import Report


@dataclass(frozen=True, eq=False)
class Transfer:
    """Shares of mended answers; S languages trained on, L languages looked at.

    Attributes:
        trained: languages beside the source that patches were trained on.
        languages: languages looked at.
        cells: (S, L) prompts in language l of edits trained in s that the unedited model answers wrong.
        mended: (S, L) how many of them the edited model answers right, in per cent; NaN without cells.
    """

    trained: tuple[Lang, ...]
    languages: tuple[Lang, ...]
    cells: NDArray[np.int64]
    mended: NDArray[np.float64]


def transfer(reports: Sequence[Report]) -> Transfer:
    """Over the triggered edits of these reports, pooled; an edit trained in two languages counts in both rows.

    Raises:
        InputError: no report has cells, or no edit was trained in a language beside its source.
    """
    found = [report.cells for report in reports if report.cells is not None]
    languages = tuple(dict.fromkeys(lang for cells in found for lang in cells.languages))
    wrong, right = (np.zeros((len(languages), len(languages)), dtype=np.int64) for _ in range(2))
    for cells in found:
        at = np.ix_(*2 * ([languages.index(lang) for lang in cells.languages],))
        for total, counted in ((wrong, cells.before == 0), (right, (cells.before == 0) & (cells.after == 1))):
            total[at] += _drawn(cells).T.astype(np.int64) @ counted.astype(np.int64)
    rows = [i for i in range(len(languages)) if wrong[i].any()]
    if not rows:
        raise InputError("no edit was trained in a language beside its source: there is no transfer to look at")
    with np.errstate(invalid="ignore", divide="ignore"):
        mended = 100.0 * right[rows] / wrong[rows]
    return Transfer(tuple(languages[i] for i in rows), languages, wrong[rows], mended)


def _drawn(cells: Cells) -> NDArray[np.bool_]:
    """(E, L): languages beside the source that a triggered edit was trained in."""
    return np.asarray(cells.trained & ~cells.source & cells.triggered[:, None])
