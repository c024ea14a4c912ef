"""Jobs on this machine: in this process, or in several that share one folder of queries.

Several encode together too, in shards, which this process writes; then they find them on disk.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from queue import Empty
from typing import Any, TypeAlias

import numpy as np
import torch

from polypatch.errors import PolypatchError
from polypatch.evaluation import Report
from polypatch.runs.bench_spec import BenchSpec
from polypatch.runs.events import Encoded, Event, OnEvent
from polypatch.runs.job import Job
from polypatch.runs.run import Run
from polypatch.runs.unencoded import NewShard, Unencoded
from polypatch.runs.workbench import OnOutcome, Workbench

Encode: TypeAlias = Callable[[BenchSpec, Unencoded], Encoded]
"""Encodes what jobs on a spec need."""


@dataclass(frozen=True)
class Processes:
    """Do jobs in `n` processes of one thread each: two threads in one process are slower than one on small machines.

    Attributes:
        n: how many; with one, all is done in the calling process, and so is one job alone, but for its encoding.
    """

    n: int = 1

    def __call__(self, jobs: Mapping[int, Job], tell: OnEvent) -> Iterator[tuple[int, list[Report]]]:
        """Do the jobs; see `Backend`.

        Raises:
            PolypatchError: what a job raised; or a process was killed.
        """
        if self.n == 1:
            return _here(jobs, tell, lambda _, unencoded: unencoded.here())
        return _several(jobs, self.n, tell) if len(jobs) > 1 else _here(jobs, tell, partial(_with_help, self.n))


class LastOpened:
    """The workbench that a worker opened last. Jobs come sorted by their specs, so one is enough."""

    def __init__(self) -> None:
        self._spec: BenchSpec | None = None
        self._bench: Workbench | None = None

    def get(self, spec: BenchSpec) -> Workbench:
        """The workbench of `spec`; the one before is given up."""
        if self._bench is None or spec != self._spec:
            self._bench = None
            self._bench, self._spec = spec.open(), spec
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


def _here(jobs: Mapping[int, Job], tell: OnEvent, encode: Encode) -> Iterator[tuple[int, list[Report]]]:
    for spec, some in groupby(jobs.items(), key=lambda one: one[1].spec):
        yield from _on(spec, dict(some), runs_on(spec, jobs.values()), tell, encode)


def _on(
    spec: BenchSpec, jobs: Mapping[int, Job], runs: Sequence[Run], tell: OnEvent, encode: Encode
) -> Iterator[tuple[int, list[Report]]]:
    """Jobs on one workbench, which is given up with the last."""
    bench = spec.open(opening(tell))
    tell(encode(spec, bench.unencoded(runs)))
    for number, job in jobs.items():
        yield number, bench.run(job.run, teller(number, job.run.name, tell))


def _several(jobs: Mapping[int, Job], n: int, tell: OnEvent) -> Iterator[tuple[int, list[Report]]]:
    with _shared_cache(jobs) as shared, _workers(n) as (pool, queue):
        for spec in distinct_specs(shared.values()):
            runs = runs_on(spec, shared.values())
            tell(_in_shards(pool, spec, spec.open(opening(tell)).unencoded(runs)))  # and is given up again
        futures: dict[Future[list[Report]], int] = {pool.submit(_work, i, job): i for i, job in shared.items()}
        pending = set(futures)
        while pending:
            finished, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            for event in _drained(queue):
                tell(event)
            for future in finished:
                yield futures[future], future.result()


def _with_help(n: int, spec: BenchSpec, unencoded: Unencoded) -> Encoded:
    """Encode in `n` processes, which end with it; here, where little is to do."""
    if unencoded.few:
        return unencoded.here()
    with _workers(n) as (pool, _):
        return _in_shards(pool, spec, unencoded)


def _in_shards(pool: Executor, spec: BenchSpec, unencoded: Unencoded) -> Encoded:
    """Encode by the workers of a pool; here, where little is to do."""
    if unencoded.few:
        return unencoded.here()
    futures = {pool.submit(_encode, spec, shard): shard for shard in unencoded.shards}
    for future in as_completed(futures):  # in the order they come, an error too
        unencoded.keep(futures.pop(future), future.result())
    return unencoded.done()


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
    except BaseException as error:
        # Ctrl-C: jobs under way are given up, finished ones are on disk.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise PolypatchError(
                "a worker process was killed, perhaps for want of memory: try fewer; what is on disk is not done twice"
            ) from error
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


def _encode(spec: BenchSpec, shard: NewShard) -> np.ndarray[Any, Any]:
    return shard.queries(_benches.get(spec).tail_at(shard.layer, shard.reads))


def _work(number: int, job: Job) -> list[Report]:
    bench = _benches.get(job.spec)
    bench.refresh()  # it may have been opened to encode, when they were not there yet
    return bench.run(job.run, teller(number, job.run.name, _queue.put))


def _drained(queue: Any) -> Iterator[Event]:
    while True:
        try:
            yield queue.get_nowait()
        except Empty:
            return
