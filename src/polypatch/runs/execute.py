"""execute(): a grid of independent jobs, resumable job by job, in this process, in several, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from polypatch.evaluation import Report
from polypatch.runs.events import Finished, OnEvent
from polypatch.runs.job import Job
from polypatch.runs.pool import Processes
from polypatch.runs.store import Store


class Backend(Protocol):
    """Where jobs are done."""

    def __call__(self, jobs: Mapping[int, Job], tell: OnEvent) -> Iterator[tuple[int, list[Report]]]:
        """Do all jobs, in any order; yields each one's number and reports as soon as it is done."""


def execute(
    jobs: Sequence[Job], *, on: Backend | None = None, out: Path | None = None, on_event: OnEvent | None = None
) -> list[list[Report]]:
    """Do all jobs and return their reports, one list per job (several reports where its run has folds).

    Where it is done changes no number, only the seconds, if torch has one thread in this process
    (`torch.set_num_threads(1)`), as it has in every worker: several round otherwise.

    Args:
        jobs: what to do; those of one `BenchSpec` best stand together. Equal ones are done once.
        on: `Processes` or `Cluster`; None for this process.
        out: a folder for finished jobs; one that is there already is not done again, so an interrupted grid is resumed
            by calling again.
        on_event: told about everything that moves, in this process.

    Raises:
        PolypatchError: a recipe, a setting, a model or data that cannot be used.
    """
    for job in jobs:
        job.run.built()  # a wrong name is an error now, not after an hour
    tell: OnEvent = on_event or (lambda _: None)
    store = None if out is None else Store(out)
    first = {job.key: number for number, job in reversed(list(enumerate(jobs)))}
    done: dict[int, list[Report]] = {}
    for number in sorted(first.values()):
        if store is not None and (reports := store.load(jobs[number])) is not None:
            done[number] = reports
            tell(Finished(number, stored=True))
    waiting = {number: jobs[number] for number in sorted(first.values()) if number not in done}
    if waiting:
        for number, reports in (on or Processes(1))(waiting, tell):
            if store is not None:
                store.save(jobs[number], reports)
            done[number] = reports
            tell(Finished(number))
    return [done[first[job.key]] for job in jobs]
