"""The folder of finished jobs: a job whose report is there is not done again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from polypatch.evaluation import Report, load_cells, load_reports, save_cells, save_reports
from polypatch.runs.job import Job


@dataclasses.dataclass(frozen=True)
class Store:
    """Reports by job, with the cells that `gain` needs.

    Attributes:
        folder: where they are, in ``rows``.
    """

    folder: Path

    def save(self, job: Job, reports: Sequence[Report]) -> None:
        """Write a job's reports, each file in one step."""
        for fold, report in enumerate(reports):
            if report.cells is not None:
                save_cells(report.cells, self._cells(job, fold))
        # Last: a job counts as done when its report is there.
        save_reports(reports, self._report(job))

    def load(self, job: Job) -> list[Report] | None:
        """What `save` wrote; None where the job is not done.

        Raises:
            DataError: a file that cannot be read.
        """
        if not self._report(job).exists():
            return None
        reports = load_reports(self._report(job))
        return [
            dataclasses.replace(report, cells=load_cells(cells))
            if (cells := self._cells(job, fold)).exists()
            else report
            for fold, report in enumerate(reports)
        ]

    def _report(self, job: Job) -> Path:
        return self.folder / "rows" / f"{job.key}.json"

    def _cells(self, job: Job, fold: int) -> Path:
        return self.folder / "rows" / f"{job.key}.cells-{fold}.json"
