"""The source × target matrix: what corrections made in one language are worth in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polypatch.edits import Lang
from polypatch.errors import InputError
from polypatch.evaluation.cells import Cells
from polypatch.evaluation.metrics import MISSING
from polypatch.evaluation.report import Report
from polypatch.evaluation.tables import BLANK
from polypatch.rendering.grid import Column, Grid


@dataclass(frozen=True, eq=False)
class Matrix:
    """S source languages by L languages asked in.

    Attributes:
        sources: languages that edits were made in.
        languages: languages that questions were asked in, the sources first.
        cells: (S, L) prompts in language l of edits made in s.
        before: (S, L) how many of them the unedited model answers right, in per cent; NaN without cells.
        after: (S, L) the same of the edited model. Where l is s it is reliability (eq. 10), elsewhere CLG (eq. 12).
    """

    sources: tuple[Lang, ...]
    languages: tuple[Lang, ...]
    cells: NDArray[np.int64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]

    def plain(self) -> dict[str, Any]:
        """As JSON data: source -> language -> prompts, per cent before and after; without the empty cells."""
        found: dict[str, Any] = {}
        for i, source in enumerate(self.sources):
            there = [j for j in range(len(self.languages)) if self.cells[i, j]]
            found[source] = {
                self.languages[j]: [int(self.cells[i, j]), float(self.before[i, j]), float(self.after[i, j])]
                for j in there
            }
        return found


def matrix(reports: Sequence[Report]) -> Matrix:
    """The matrix over all edits of these reports, pooled: one whose edits differ in source, or one for each source.

    Right is what it is in the reports: the label, or an exact match of normal forms.

    Raises:
        InputError: no report has cells with an edit in them.
    """
    found = [report.cells for report in reports if report.cells is not None and report.cells.edits]
    if not found:
        raise InputError("there are no edits to look at: give reports that evaluate() has just made")
    sources = tuple(dict.fromkeys(lang for cells in found for lang in _sources(cells)))
    languages = tuple(dict.fromkeys((*sources, *(lang for cells in found for lang in cells.languages))))
    total, before, after = (np.zeros((len(sources), len(languages)), dtype=np.int64) for _ in range(3))
    for cells in found:
        rows = np.array([sources.index(lang) for lang in _sources(cells)])
        columns = np.array([languages.index(lang) for lang in cells.languages])
        for counts, what in ((total, cells.before != MISSING), (before, cells.before == 1), (after, cells.after == 1)):
            np.add.at(counts, np.ix_(rows, columns), what)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Matrix(sources, languages, total, 100.0 * before / total, 100.0 * after / total)


def matrix_grid(found: Matrix, *, original: bool = False, decimals: int = 1) -> Grid:
    """The matrix as a table: a row per source language, a column per language asked in.

    Args:
        found: the matrix.
        original: of the unedited model.
        decimals: of percentages.
    """
    shares = found.before if original else found.after
    columns = (Column("", "Corrected in"), *(Column("Asked in", lang) for lang in found.languages))
    rows = (
        (lang, *(BLANK if np.isnan(value) else f"{value:.{decimals}f}" for value in row))
        for lang, row in zip(found.sources, shares, strict=True)
    )
    return Grid(columns, tuple(rows))


def _sources(cells: Cells) -> list[Lang]:
    """The source language of each edit."""
    return [cells.languages[column] for column in cells.source.argmax(axis=1)]
