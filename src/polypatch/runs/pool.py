"""execute(): many runs on one workbench, in this process or in several, resumable row by row."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import torch

from polypatch.evaluation import Report, load_cells, load_reports, save_cells, save_reports
from polypatch.runs.run import Run, short_hash
from polypatch.runs.workbench import BenchSpec, OnOutcome, Workbench


@dataclass(frozen=True)
class Event:
    """Something moved: run number `run` (or None: the workbench is being opened) has done so much.

    Attributes:
        run: position in the list of runs; None while model and data are made ready.
        what: the run's name, or what is being made ready.
        done, total: edits, texts or steps.
    """

    run: int | None
    what: str
    done: int
    total: int


OnEvent = Callable[[Event], None]


def execute(
    runs: Sequence[Run], spec: BenchSpec, *, jobs: int = 1, out: Path | None = None, on_event: OnEvent | None = None
) -> list[Report]:
    """Do all runs and return their reports in the order of `runs` (several per run where it has folds).

    Args:
        runs: what to do; equal runs are done once.
        spec: on which model and data.
        jobs: processes. One thread each: two threads in one process are slower than one on small machines.
        out: a folder for finished rows; a row that is there already is not done again, so an interrupted table is
            resumed by calling again.
        on_event: told about everything that moves, in this process.
    """
    for run in runs:
        run.built()  # a wrong name is an error now, not after an hour
    tell = on_event or (lambda _: None)
    done = {i: reports for i, run in enumerate(runs) if (reports := _stored(out, spec, run)) is not None}
    waiting = [i for i in range(len(runs)) if i not in done]
    if waiting:
        for i, reports in _done_now(runs, waiting, spec, min(jobs, len(waiting)), tell):
            done[i] = reports
            _store(out, spec, runs[i], reports)
    return [report for i in range(len(runs)) for report in done[i]]


def _done_now(
    runs: Sequence[Run], waiting: Sequence[int], spec: BenchSpec, jobs: int, tell: OnEvent
) -> Iterator[tuple[int, list[Report]]]:
    def opening(what: str, done: int, total: int) -> None:
        tell(Event(None, what, done, total))

    if jobs <= 1:
        bench = spec.open(opening)
        bench.encode()
        for i in waiting:
            yield i, bench.run(runs[i], _teller(i, runs[i].name, tell))
        return
    with _shared_cache(spec) as spec, _workers(spec, jobs) as (pool, queue):
        # Encoded here, once; the workers find the queries on disk.
        spec.open(opening).encode()
        futures: dict[Future[list[Report]], int] = {pool.submit(_work, i, runs[i]): i for i in waiting}
        pending = set(futures)
        while pending:
            finished, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            for event in _drained(queue):
                tell(event)
            for future in finished:
                yield futures[future], future.result()


def _teller(number: int, name: str, tell: OnEvent) -> OnOutcome:
    return lambda _, done, total: tell(Event(number, name, done, total))


@contextmanager
def _shared_cache(spec: BenchSpec) -> Iterator[BenchSpec]:
    if spec.cache_dir is not None:
        yield spec
        return
    with tempfile.TemporaryDirectory(prefix="polypatch-queries-") as folder:
        yield dataclasses.replace(spec, cache_dir=folder)


@contextmanager
def _workers(spec: BenchSpec, jobs: int) -> Iterator[tuple[ProcessPoolExecutor, Any]]:
    # Not fork: threads of torch and of the tokenizers do not survive it.
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_open, initargs=(spec, queue))
    try:
        yield pool, queue
    except BaseException:
        # Ctrl-C: rows under way are given up, finished ones are on disk.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    else:
        pool.shutdown()


_bench: Workbench | None = None
_queue: Any = None


def _open(spec: BenchSpec, queue: Any) -> None:
    """Make a worker ready; runs once in each."""
    global _bench, _queue
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    torch.set_num_threads(1)
    _bench, _queue = spec.open(), queue


def _work(number: int, run: Run) -> list[Report]:
    assert _bench is not None
    return _bench.run(run, _teller(number, run.name, _queue.put))


def _drained(queue: Any) -> Iterator[Event]:
    while True:
        try:
            yield queue.get_nowait()
        except Empty:
            return


def _row_path(out: Path, spec: BenchSpec, run: Run) -> Path:
    # The cache's place does not change a number, so it is not part of a row's name.
    what = dataclasses.asdict(dataclasses.replace(spec, cache_dir=None, world_dir=None))
    return out / "rows" / f"{run.key}-{short_hash(what)}"


def _store(out: Path | None, spec: BenchSpec, run: Run, reports: Sequence[Report]) -> None:
    if out is None:
        return
    path = _row_path(out, spec, run)
    for fold, report in enumerate(reports):
        if report.cells is not None:
            save_cells(report.cells, path.with_name(f"{path.name}.cells-{fold}.json"))
    # Last: a row counts as done when its report is there.
    save_reports(reports, path.with_name(f"{path.name}.json"))


def _stored(out: Path | None, spec: BenchSpec, run: Run) -> list[Report] | None:
    if out is None:
        return None
    path = _row_path(out, spec, run)
    if not path.with_name(f"{path.name}.json").exists():
        return None
    reports = load_reports(path.with_name(f"{path.name}.json"))
    cells = [path.with_name(f"{path.name}.cells-{fold}.json") for fold in range(len(reports))]
    return [
        dataclasses.replace(report, cells=load_cells(file)) if file.exists() else report
        for report, file in zip(reports, cells, strict=True)
    ]
