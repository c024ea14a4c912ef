"""Jobs on this machine: in this process, or in several that share one folder of queries."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty
from typing import Any

import torch

from polypatch.evaluation import Report
from polypatch.runs.bench_spec import BenchSpec
from polypatch.runs.events import Event, OnEvent
from polypatch.runs.job import Job
from polypatch.runs.run import Run
from polypatch.runs.workbench import OnOutcome, Workbench


@dataclass(frozen=True)
class Processes:
    """Do jobs in `n` processes of one thread each: two threads in one process are slower than one on small machines.

    Attributes:
        n: how many; with one, jobs are done in the calling process.
    """

    n: int = 1

    def __call__(self, jobs: Mapping[int, Job], tell: OnEvent) -> Iterator[tuple[int, list[Report]]]:
        """Do the jobs; see `Backend`."""
        return _several(jobs, min(self.n, len(jobs)), tell) if min(self.n, len(jobs)) > 1 else _here(jobs, tell)


class LastOpened:
    """The workbench that was opened last. Jobs come sorted by their specs, so one is enough."""

    def __init__(self) -> None:
        self._spec: BenchSpec | None = None
        self._bench: Workbench | None = None

    def get(self, spec: BenchSpec, tell: OnEvent | None = None, runs: Sequence[Run] = ()) -> Workbench:
        """The workbench of `spec`, with what `runs` need encoded where `tell` is told; the one before is given up."""
        if self._bench is None or spec != self._spec:
            self._bench = None
            self._bench, self._spec = spec.open(opening(tell)), spec
            if tell is not None:
                tell(self._bench.encode(runs))
        return self._bench


def opening(tell: OnEvent | None) -> Any:
    """What `BenchSpec.open` is given, to tell how far it is."""
    return None if tell is None else lambda what, done, total: tell(Event(None, what, done, total))


def teller(number: int, name: str, tell: OnEvent) -> OnOutcome:
    """What `Workbench.run` is given, to tell how far job `number` is."""
    return lambda _, done, total: tell(Event(number, name, done, total))


def distinct_specs(jobs: Iterable[Job]) -> list[BenchSpec]:
    """The specs of the jobs, each once, in order."""
    found: list[BenchSpec] = []
    for job in jobs:
        if job.spec not in found:
            found.append(job.spec)
    return found


def runs_on(spec: BenchSpec, jobs: Iterable[Job]) -> list[Run]:
    """The runs of the jobs on one spec."""
    return [job.run for job in jobs if job.spec == spec]


def _here(jobs: Mapping[int, Job], tell: OnEvent) -> Iterator[tuple[int, list[Report]]]:
    benches = LastOpened()
    for number, job in jobs.items():
        bench = benches.get(job.spec, tell, runs_on(job.spec, jobs.values()))
        yield number, bench.run(job.run, teller(number, job.run.name, tell))


def _several(jobs: Mapping[int, Job], n: int, tell: OnEvent) -> Iterator[tuple[int, list[Report]]]:
    with _shared_cache(jobs) as shared, _workers(n) as (pool, queue):
        # Encoded here, once; the workers find the queries on disk.
        for spec in distinct_specs(shared.values()):
            LastOpened().get(spec, tell, runs_on(spec, shared.values()))
        futures: dict[Future[list[Report]], int] = {pool.submit(_work, i, job): i for i, job in shared.items()}
        pending = set(futures)
        while pending:
            finished, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            for event in _drained(queue):
                tell(event)
            for future in finished:
                yield futures[future], future.result()


@contextmanager
def _shared_cache(jobs: Mapping[int, Job]) -> Iterator[Mapping[int, Job]]:
    """The jobs with a folder for queries, where they have none."""
    if all(job.spec.cache_dir is not None for job in jobs.values()):
        yield jobs
        return
    with tempfile.TemporaryDirectory(prefix="polypatch-queries-") as folder:
        yield {
            number: dataclasses.replace(job, spec=dataclasses.replace(job.spec, cache_dir=job.spec.cache_dir or folder))
            for number, job in jobs.items()
        }


@contextmanager
def _workers(n: int) -> Iterator[tuple[ProcessPoolExecutor, Any]]:
    # Not fork: threads of torch and of the tokenizers do not survive it.
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    pool = ProcessPoolExecutor(n, mp_context=context, initializer=_start, initargs=(queue,))
    try:
        yield pool, queue
    except BaseException:
        # Ctrl-C: jobs under way are given up, finished ones are on disk.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    else:
        pool.shutdown()


_benches = LastOpened()
_queue: Any = None


def _start(queue: Any) -> None:
    """Make a worker ready; runs once in each."""
    global _queue
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    torch.set_num_threads(1)
    _queue = queue


def _work(number: int, job: Job) -> list[Report]:
    return _benches.get(job.spec).run(job.run, teller(number, job.run.name, _queue.put))


def _drained(queue: Any) -> Iterator[Event]:
    while True:
        try:
            yield queue.get_nowait()
        except Empty:
            return
