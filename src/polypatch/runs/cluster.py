"""Jobs on a Ray cluster: ``pip install 'polypatch[ray]'``.

Each workbench's texts are encoded once: in shards, which workers encode and send back through Ray's object store, and
which the driver writes; or by the driver, where there are few. For a job, a worker reads the queries from the folder of
queries where its node sees that folder, and else from the object store, which holds one copy per node that all its
workers read in place.
Models, data and trained nets must be where their names say on every node: on shared storage, or on the hub.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from polypatch.errors import PolypatchError, UnsupportedModelError
from polypatch.evaluation import Report
from polypatch.runs.bench_spec import BenchSpec
from polypatch.runs.events import Encoded, Event, OnEvent
from polypatch.runs.job import Job
from polypatch.runs.pool import LastOpened, distinct_specs, opening, runs_on, teller
from polypatch.runs.ray_connection import LOCAL, connected, ray_library
from polypatch.runs.unencoded import NewShard, Unencoded, tail_of_same
from polypatch.runs.workbench import Workbench
from polypatch.sites import FrozenTail
from polypatch.sites.reads import Reads

RETRIES = 5
"""How often a job is done again that its worker or its node took down with it."""


@dataclass(frozen=True)
class Cluster:
    """Do jobs as Ray tasks, one core each.

    Attributes:
        address: of a running cluster (``auto``, ``HOST:PORT``, ``ray://HOST:PORT``), which is left running, or
            ``local`` for one of this machine's cores that ends with the grid.
    """

    address: str = LOCAL

    def __call__(self, jobs: Mapping[int, Job], tell: OnEvent) -> Iterator[tuple[int, list[Report]]]:
        """Do the jobs; see `Backend`.

        Raises:
            InputError: Ray is not installed, or no cluster answers at the address.
            PolypatchError: what a job raised; or a job took `RETRIES` workers with it.
        """
        ray = ray_library()
        # First: hours of encoding must not end at an address where nobody answers.
        shared = ray.is_initialized()
        with connected(ray, self.address) as alone:
            grid = _Grid(ray, jobs, tell, alone)
            try:
                yield from grid.results()
            finally:
                # Ctrl-C or an error: jobs under way are given up, finished ones were handed over. A connection of our
                # own takes them along; and not by force: Ray may abort where a job ends while it is cancelled so.
                for reference in (*grid.pending, *grid.encoding) if shared else ():
                    ray.cancel(reference)


class _Place(NamedTuple):
    """Where workers find what the driver has."""

    directory: Path
    """Relative names start there."""
    fingerprint: str
    folder: Path | None
    """The encoder's folder of queries."""
    queries: dict[tuple[int | None, Reads], Any]
    """By layer and what is read there: a reference to (keys, queries), which Ray fetches where it is asked for. None
    where every node sees the folder."""


class _Grid:
    def __init__(self, ray: Any, jobs: Mapping[int, Job], tell: OnEvent, alone: bool) -> None:
        self.ray, self.jobs, self.tell, self.alone = ray, jobs, tell, alone
        self.pending: dict[Any, int] = {}
        self.encoding: dict[Any, NewShard] = {}

    def results(self) -> Iterator[tuple[int, list[Report]]]:
        """Reports by job number, as they come."""
        ray = self.ray
        # Its death costs a few events: it comes back with none.
        ears = ray.remote(num_cpus=0, max_restarts=-1)(_Ears).options(scheduling_strategy=_here(ray)).remote()
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_work)
        heard = ears.heard.remote()
        for spec in distinct_specs(self.jobs.values()):
            place = yield from self._published(spec)
            mine = {number: job for number, job in self.jobs.items() if job.spec == spec}
            # The nodes begin while the next workbench is opened.
            self.pending |= {task.remote(number, job, place, ears): number for number, job in mine.items()}
            yield from self._finished(wait=0)
        while self.pending:
            yield from self._finished(wait=0.5)
            heard = self._hear(ears, heard)

    def _finished(self, wait: float) -> Iterator[tuple[int, list[Report]]]:
        waiting = list(self.pending)
        finished = self.ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
        for reference in finished or self.ray.wait(waiting, timeout=wait)[0]:
            number = self.pending.pop(reference)
            yield number, self._got(reference, self.jobs[number].run.name)

    def _published(self, spec: BenchSpec) -> Generator[tuple[int, list[Report]], None, _Place]:
        """Where the queries of a spec are, now that they are there; jobs that end meanwhile are handed over."""
        bench = spec.open(opening(self.tell))
        tail = _cached(bench)
        place = _Place(Path.cwd(), tail.fingerprint, tail.cache.directory, {})
        unencoded = bench.unencoded(runs_on(spec, self.jobs.values()))
        self.tell(unencoded.here() if unencoded.few else (yield from self._in_shards(spec, unencoded, place)))
        if not self.alone or place.folder is None:
            for one in unencoded.needed:
                place.queries[one.layer, one.reads] = self.ray.put(one.tail.cache.export())
        return place

    def _in_shards(
        self, spec: BenchSpec, unencoded: Unencoded, place: _Place
    ) -> Generator[tuple[int, list[Report]], None, Encoded]:
        """Let workers encode, and keep each shard as it comes; a lost one is done again."""
        task = self.ray.remote(num_cpus=1, max_retries=RETRIES)(_encode)
        self.encoding = {task.remote(spec, shard, place): shard for shard in unencoded.shards}
        while self.encoding:
            for reference in self.ray.wait(list(self.encoding), timeout=0.5)[0]:
                unencoded.keep(self.encoding.pop(reference), self._got(reference, "encoding"))
            if self.pending:
                yield from self._finished(wait=0)
        return unencoded.done()

    def _hear(self, ears: Any, asked: Any) -> Any:
        """Tell what the ears have answered, and ask again. They are not waited for: jobs do not need them."""
        if not self.ray.wait([asked], timeout=0)[0]:
            return asked
        # Lost with their process or their node; the next answer is from new ones.
        with contextlib.suppress(self.ray.exceptions.RayError):
            for event in self.ray.get(asked):
                # What a finished job said last comes too late.
                if isinstance(event, Encoded) or event.job in self.pending.values():
                    self.tell(event)
        return ears.heard.remote()

    def _got(self, reference: Any, what: str) -> Any:
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            # Ray wraps what a worker raised; the caller knows nothing of Ray.
            raise error.cause from error
        except self.ray.exceptions.RayError as error:
            raise PolypatchError(
                f"{what}: {RETRIES + 1} workers died of it or with it; give each more memory, and start again: what is "
                f"finished is not done twice ({type(error).__name__})"
            ) from error


class _Ears:
    """Hears from all workers; the driver asks it now and then."""

    def __init__(self) -> None:
        self._last: dict[int | None, Event] = {}
        self._encodings: list[Encoded] = []

    def tell(self, event: Event | Encoded) -> None:
        if isinstance(event, Encoded):
            self._encodings.append(event)
        else:
            self._last[event.job] = event

    def heard(self) -> list[Event | Encoded]:
        """What was encoded, and the newest event of each job, since the last call."""
        events: list[Event | Encoded] = [*self._encodings, *self._last.values()]
        self._last, self._encodings = {}, []
        return events


_benches = LastOpened()


def _encode(spec: BenchSpec, shard: NewShard, place: _Place) -> np.ndarray[Any, Any]:
    """The queries of one shard, in a worker, which writes nothing."""
    return shard.queries(_bench(spec, place).tail_at(shard.layer, shard.reads))


def _work(number: int, job: Job, place: _Place, ears: Any) -> list[Report]:
    """One job, in a worker."""

    def tell(event: Any) -> None:
        ears.tell.remote(event)

    bench = _bench(job.spec, place)
    late = _lent(bench, place, job).here()
    if late.fresh:  # never; but if ever, it is seen
        tell(late)
    return bench.run(job.run, teller(number, job.run.name, tell))


def _bench(spec: BenchSpec, place: _Place) -> Workbench:
    """The workbench of a worker, which it keeps for what comes next."""
    torch.set_num_threads(1)
    with contextlib.suppress(OSError):
        os.chdir(place.directory)
    shared = place.folder is not None and place.folder.is_dir()
    # Elsewhere nothing is written: what the driver has is enough.
    return _benches.get(spec if shared else replace(spec, cache_dir=None))


def _cached(bench: Workbench) -> FrozenTail:
    """The bench's tail.

    Raises:
        UnsupportedModelError: it keeps no queries, which is what nodes share.
    """
    if not isinstance(bench.tail, FrozenTail):
        raise UnsupportedModelError(
            f"{bench.tail.site.layer.why or 'this model'}: it has no queries that nodes could share"
        )
    return bench.tail


def _lent(bench: Workbench, place: _Place, job: Job) -> Unencoded:
    """See to it that nothing is left to encode here."""
    tail_of_same(_cached(bench), place.fingerprint)
    unencoded = bench.unencoded([job.run])
    bench.refresh()
    for one in unencoded.needed:
        reference = place.queries.get((one.layer, one.reads))
        if reference is not None and one.tail.cache.missing(one.rows):
            one.tail.cache.lend(*ray_library().get(reference))
    return unencoded


def _here(ray: Any) -> Any:
    """Ears stay with the driver: a lost node must not take them along."""
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    return strategy(ray.get_runtime_context().get_node_id(), soft=True)
