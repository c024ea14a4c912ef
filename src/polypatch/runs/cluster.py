"""Jobs on a Ray cluster: ``pip install 'polypatch[ray]'``.

The driver encodes each workbench's texts once. A worker reads the queries from the folder of queries where its node
sees that folder, and else from Ray's object store, which holds one copy per node that all its workers read in place.
Models and data must be where their names say on every node: on shared storage, or on the hub.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from polypatch.errors import InputError
from polypatch.evaluation import Report
from polypatch.runs.events import Event, OnEvent
from polypatch.runs.job import Job
from polypatch.runs.pool import LastOpened, distinct_specs, encoded, opening, teller
from polypatch.runs.workbench import BenchSpec, Workbench

LOCAL = "local"
RETRIES = 5
"""How often a job is done again that its worker or its node took down with it."""


@dataclass(frozen=True)
class Cluster:
    """Do jobs as Ray tasks, one core each.

    Attributes:
        address: of a running cluster (``auto``, ``HOST:PORT``, ``ray://HOST:PORT``), or ``local`` for one of this
            machine's cores that ends with the grid.
    """

    address: str = LOCAL

    def __call__(self, jobs: Mapping[int, Job], tell: OnEvent) -> Iterator[tuple[int, list[Report]]]:
        """Do the jobs; see `Backend`.

        Raises:
            InputError: Ray is not installed, or no cluster answers at the address.
        """
        ray = _ray()
        # First: what can go wrong with a model goes wrong before a cluster is started.
        started = _connect(ray, self.address)
        try:
            yield from _Grid(ray, jobs, tell).results()
        finally:
            if started:
                ray.shutdown()


class _Queries(NamedTuple):
    """The queries of one workbench, as the driver has them."""

    fingerprint: str
    rows: list[Any]
    """One reference to (keys, queries): in a list, so that Ray fetches it only where it is asked for."""


class _Grid:
    def __init__(self, ray: Any, jobs: Mapping[int, Job], tell: OnEvent) -> None:
        self.ray, self.jobs, self.tell = ray, jobs, tell

    def results(self) -> Iterator[tuple[int, list[Report]]]:
        """Reports by job number, as they come."""
        ray = self.ray
        queries = [(spec, self._published(spec)) for spec in distinct_specs(self.jobs.values())]
        ears = ray.remote(num_cpus=0)(_Ears).options(scheduling_strategy=_here(ray)).remote()
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_work)
        pending = {
            task.remote(number, job, next(q for spec, q in queries if spec == job.spec), ears): number
            for number, job in self.jobs.items()
        }
        try:
            while pending:
                finished, _ = ray.wait(list(pending), timeout=0.5)
                for event in ray.get(ears.heard.remote()):
                    self.tell(event)
                for reference in finished:
                    yield pending.pop(reference), self._result(reference)
        finally:
            # Ctrl-C or an error: jobs under way are given up, finished ones were handed over.
            for reference in pending:
                ray.cancel(reference, force=True)

    def _published(self, spec: BenchSpec) -> _Queries:
        bench = spec.open(opening(self.tell))
        self.tell(encoded(bench))
        return _Queries(bench.tail.fingerprint, [self.ray.put(bench.tail.cache.export())])

    def _result(self, reference: Any) -> list[Report]:
        try:
            reports: list[Report] = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            # Ray wraps what the job raised; the caller knows nothing of Ray.
            raise error.cause from error
        return reports


class _Ears:
    """Hears from all workers; the driver asks it now and then."""

    def __init__(self) -> None:
        self._last: dict[int | None, Event] = {}

    def tell(self, event: Event) -> None:
        self._last[event.job] = event

    def heard(self) -> list[Event]:
        """The newest event of each job since the last call."""
        events, self._last = list(self._last.values()), {}
        return events


_benches = LastOpened()


def _work(number: int, job: Job, queries: _Queries, ears: Any) -> list[Report]:
    """One job, in a worker, which keeps its workbench for the next job."""
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    torch.set_num_threads(1)
    spec = job.spec
    shared = spec.cache_dir is not None and Path(spec.cache_dir).is_dir()
    bench = _benches.get(spec if shared else replace(spec, cache_dir=None))
    _lent(bench, queries)

    def tell(event: Any) -> None:
        ears.tell.remote(event)

    return bench.run(job.run, teller(number, job.run.name, tell))


def _lent(bench: Workbench, queries: _Queries) -> None:
    """See to it that nothing is encoded here."""
    if bench.tail.fingerprint != queries.fingerprint:
        raise InputError(
            f"{bench.tail.site.model.name_or_path or 'the model'}: this node's weights or tokenizer are not those of "
            "the driver's node; put the model on shared storage, or name one revision of the hub's"
        )
    if bench.tail.cache.missing(bench.texts()):
        bench.tail.cache.lend(*_ray().get(queries.rows[0]))


def _connect(ray: Any, address: str) -> bool:
    """Whether a connection was made now; one that is there already is used."""
    if ray.is_initialized():
        return False
    try:
        ray.init(
            address=None if address == LOCAL else address,
            log_to_driver=False,
            logging_level="ERROR",
            # Nothing of ours looks at it.
            include_dashboard=False if address == LOCAL else None,
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise InputError(
            f"--ray {address}: no cluster answers there ({error}); start one by ray start --head"
        ) from error
    return True


def _here(ray: Any) -> Any:
    """Ears stay with the driver: a lost node must not take them along."""
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    return strategy(ray.get_runtime_context().get_node_id(), soft=True)


def _ray() -> Any:
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise InputError("a grid on Ray needs pip install 'polypatch[ray]'") from error
    return ray
