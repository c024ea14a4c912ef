"""Report: what one run achieved, as numbers. A row of JSON, a row of a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polypatch.errors import DataError
from polypatch.evaluation import tables
from polypatch.evaluation.report_data import ReportData
from polypatch.evaluation.strict_json import to_json
from polypatch.files import write_atomic


@dataclass(frozen=True, repr=False)
class Report(ReportData):
    """The metrics of one recipe on one stream of edits, and its tables; what they are is in `ReportData`."""

    def _repr_html_(self) -> str:
        return tables.html_tables([self])

    def to_markdown(self) -> str:
        """Table 1 with the unedited model's row first, a writing model's answers, the three localities of every set."""
        return "\n".join(tables.all_tables([self], "markdown"))

    def to_latex(self) -> str:
        """The same tables in LaTeX (package booktabs)."""
        return "\n".join(tables.all_tables([self], "latex"))


def save_reports(reports: Iterable[Report], path: str | Path) -> Path:
    """Write the rows of `reports` as one JSON list, atomically."""
    return write_atomic(path, to_json([report.to_row() for report in reports]).encode() + b"\n")


def load_reports(path: str | Path) -> tuple[Report, ...]:
    """Read what `save_reports` wrote, or a file with a single row.

    Raises:
        DataError: the file is not JSON, or not made of rows.
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    rows = [rows] if isinstance(rows, Mapping) else rows
    if not isinstance(rows, Sequence):
        raise DataError(f"{path}: expected a list of report rows, found {type(rows).__name__}")
    return tuple(Report.from_row(row) for row in rows)
