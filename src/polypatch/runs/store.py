"""The folder of finished jobs: a job whose report is there is not done again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polypatch.editors.widths import BY_WIDTH
from polypatch.evaluation import Report, load_cells, load_reports, save_cells, save_reports
from polypatch.plain_recipes import recipe_to_plain
from polypatch.runs.job import Job
from polypatch.store.identity import Identity


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
        """What `save` wrote; None where the job is not done, or was done with settings that are no defaults any more.

        Raises:
            DataError: a file that cannot be read.
        """
        if not self._report(job).exists():
            return None
        reports = load_reports(self._report(job))
        now = {"recipe": {"editor": Identity(recipe_to_plain(job.run.built())).facts["editor"]}}
        if not all(as_now(now, report.config) for report in reports):
            return None
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


def as_now(now: Mapping[str, Any], then: Mapping[str, Any]) -> bool:
    """Whether a recipe had the settings then that it has now, as plain data: a default is in no job's name.

    A setting that is new, one that hangs on the model's width, and a net, which `KeptNets` finds, are not compared.
    """
    for name, value in now.items():
        if name == "net" or value is BY_WIDTH or name not in then:
            continue
        before = then[name]
        both = isinstance(value, Mapping) and isinstance(before, Mapping)
        if not (as_now(value, before) if both else value == before):
            return False
    return True
