"""A grid on Ray: the numbers of one process, also when workers, nodes and the ears are lost on the way."""

import contextlib
import io
import logging
import os
import pickle
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch

from named_rows import named
from polypatch import errors
from polypatch.errors import InputError, PolypatchError
from polypatch.runs import BenchSpec, Encoded, Event, Finished, Job, Run, cluster, execute, ray_connection, unencoded
from polypatch.runs.cluster import Cluster
from polypatch.runs.pool import LastOpened
from polypatch.runs.store import Store
from polypatch.sites.encoding.query_cache import SMALL, QueryCache
from polypatch.sites.tails import frozen_tail

from .test_runs import FAST, timeless

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = pytest.mark.slow


RUNS = [
    Run(recipe="t-patcher", settings=FAST),
    Run(recipe="mpn-all-once", settings=FAST, order=1, seed=3, trajectory_every=4),
    Run(recipe="fine-tuning", settings={"learning_rate": 1e-2, "max_steps": 20}, folds=2),
    Run(recipe="mpn-only", settings=FAST, limit=6),
]
NO_PROBES = Run(recipe="t-patcher", settings=FAST, max_locality_drop=1.0)
"""Refused only when it runs: tiny data have no texts to watch."""

WORK, EARS = cluster._work, cluster._Ears


def numbers(grid):
    return [[timeless(report) for report in reports] for reports in grid]


def of(kind, said):
    return [event for event in said if isinstance(event, kind)]


def mortal(marker, ears=EARS):
    """Ears that die of the first thing they hear."""

    class Mortal(ears):
        def tell(self, event):
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            ears.tell(self, event)

    return Mortal


def fragile(folder, head, work=WORK):
    """What workers do. Made in a function, it travels to them whole, and needs no tests there."""
    log, killed, stuck, heard = (folder / name for name in ("log", "killed", "stuck", "heard"))

    def do(number, job, place, ears):
        import ray

        with log.open("a") as file:
            file.write(f"{number} {os.getpid()}\n")
        if 4 <= number < 8 and ray.get_runtime_context().get_node_id() == head:
            for _ in range(3000):
                time.sleep(0 if stuck.exists() else 0.1)
        elif 4 <= number < 8:
            stuck.write_text(str(number))
            time.sleep(600)
        for _ in range(600 * (number == 7)):
            ears.tell.remote(Event(number, "repeats itself", 1, 2))
            time.sleep(0 if heard.exists() else 0.1)
        # As on a node that does not see the folder.
        reports = work(number, job, place._replace(folder=None), ears)
        if number == 2 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return reports

    return do


class Hard(NamedTuple):
    """A grid that lost a worker, a node and its ears; and a second one, that ended with an error."""

    jobs: list
    folder: Path
    said: list
    starts: list
    found: list
    error: BaseException
    printed: str


@pytest.fixture(scope="module")
def hard(spec, nodes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hard")
    lost, stuck = next(iter(nodes.worker_nodes)), folder / "stuck"
    cached = replace(spec, seed=1, cache_dir=str(folder / "queries"))
    jobs = [Job(which, run) for which in (spec, cached) for run in RUNS]

    def remove():
        for _ in range(3000):
            time.sleep(0 if stuck.exists() else 0.1)
        nodes.remove_node(lost, allow_graceful=False)

    def hear(event):
        said.append(event)
        if isinstance(event, Event) and event.job == 7:
            (folder / "heard").touch()

    said, printed, thread = [], io.StringIO(), threading.Thread(target=remove)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "_work", fragile(folder, nodes.head_node.node_id))
        patch.setattr(cluster, "_Ears", mortal(folder / "deaf"))
        patch.setattr(frozen_tail, "CHUNK", 10)
        patch.setattr(unencoded, "FEW", 0)
        thread.start()
        # One connection for both grids: starting workers takes longer than their work.
        with contextlib.redirect_stdout(printed), ray_connection.connected(ray, nodes.address):
            found = execute(jobs, on=Cluster(nodes.address), out=folder, on_event=hear)
            starts = [tuple(map(int, line.split())) for line in (folder / "log").read_text().splitlines()]
            more = [Job(cached, replace(RUNS[0], seed=1)), Job(cached, NO_PROBES)]
            with pytest.raises(PolypatchError) as caught:
                execute(more, on=Cluster(nodes.address), out=folder)
        thread.join()
    return Hard([*jobs, more[0]], folder, said, starts, found, caught.value, printed.getvalue())


def test_a_job_whose_worker_or_node_is_lost_is_done_again_and_no_other(hard):
    stuck = int((hard.folder / "stuck").read_text())
    assert sorted(number for number, _ in hard.starts) == sorted([*range(8), 2, stuck])
    for number in (2, stuck):
        assert len({pid for again, pid in hard.starts if again == number}) == 2
    assert len({pid for _, pid in hard.starts}) < len(hard.starts), "a worker does more than one job"
    assert sorted(event.job for event in of(Finished, hard.said)) == list(range(8))


def test_ray_prints_nothing_where_results_are_printed(hard):
    assert not hard.printed


def test_ears_that_were_lost_come_back(hard):
    assert (hard.folder / "deaf").exists()
    told = [event for event in hard.said if not isinstance(event, Encoded) and event.job is not None]
    assert of(Event, told)
    over = set()
    for event in told:
        assert event.job not in over, "nothing is heard of a job after its end"
        over |= {event.job} if isinstance(event, Finished) else set()


def test_workers_take_the_queries_from_the_object_store_and_encode_nothing(hard, spec):
    texts = len(set(spec.open().texts()))
    # A worker that has to encode says so: see test_a_worker_that_encodes_is_heard.
    assert [(one.texts, one.fresh) for one in of(Encoded, hard.said)] == [(texts, texts)] * 2


def test_the_numbers_are_those_of_one_process(hard):
    alone = [replace(job, spec=replace(job.spec, cache_dir=None)) for job in hard.jobs[:8]]
    assert numbers(hard.found) == numbers(execute(alone))


def test_an_error_keeps_its_type_and_what_was_finished(hard):
    assert type(hard.error) is InputError
    assert "max_locality_drop needs probe texts" in str(hard.error)
    again = []
    execute(hard.jobs, out=hard.folder, on_event=again.append)
    assert again == [Finished(number, stored=True) for number in range(9)]


def test_a_cluster_that_was_joined_is_left_running(nodes):
    assert list(Cluster(nodes.address)({}, lambda _: None)) == []
    assert not ray.is_initialized()
    ray_connection.knock(nodes.address)


@pytest.mark.parametrize("lent", [True, False])
def test_a_worker_that_encodes_is_heard(lent, spec, tmp_path, monkeypatch):
    bench, said = spec.open(), []
    bench.encode()
    kept = bench.tail.cache.export() if lent else (b"", np.empty((0, 32), np.float32))
    monkeypatch.setattr(cluster, "ray_library", lambda: SimpleNamespace(get=lambda reference: kept))
    monkeypatch.setattr(cluster, "_benches", LastOpened())
    monkeypatch.chdir(tmp_path)
    place = cluster._Place(tmp_path, bench.tail.fingerprint, None, {(None, "query"): "reference"})
    ears = SimpleNamespace(tell=SimpleNamespace(remote=said.append))
    cluster._work(0, Job(spec, RUNS[0]), place, ears)
    assert [one.fresh for one in of(Encoded, said)] == ([] if lent else [len(set(bench.texts()))])
    with pytest.raises(InputError, match="a worker found other weights, another tokenizer"):
        cluster._work(0, Job(spec, RUNS[0]), place._replace(fingerprint="another"), ears)


def test_ctrl_c_ends_what_was_started_here_and_keeps_what_is_done(spec, tmp_path, monkeypatch):
    """On a cluster of our own, whose workers map the folder of queries: the object store is not asked for room."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # not what `local` means, even where it is set
    monkeypatch.setattr(QueryCache, "export", lambda _: pytest.fail("exported"))
    monkeypatch.chdir(tmp_path)
    addresses, said = [], []

    def interrupt(event):
        said.append(event)
        if isinstance(event, Finished):
            addresses.append(ray.get_runtime_context().gcs_address)
            raise KeyboardInterrupt

    grid = [Job(replace(spec, cache_dir="queries"), run) for run in RUNS]
    with pytest.raises(KeyboardInterrupt):
        execute(grid, on=Cluster(), out=tmp_path, on_event=interrupt)
    assert not ray.is_initialized()
    assert sum(Store(tmp_path).load(job) is not None for job in grid) == 1
    assert len(of(Encoded, said)) == 1
    with pytest.raises(OSError, match="refused"):
        ray_connection.knock(addresses[0])


def test_a_job_that_kills_every_worker_ends_the_grid(spec, nodes, monkeypatch):
    monkeypatch.setattr(cluster, "RETRIES", 1)
    ray.init(address=nodes.address, log_to_driver=False, logging_level=logging.CRITICAL)
    try:
        reference = ray.remote(max_retries=1)(lambda: os.kill(os.getpid(), signal.SIGKILL)).remote()
        grid = cluster._Grid(ray, {7: Job(spec, RUNS[0])}, lambda _: None, alone=False)
        with pytest.raises(PolypatchError, match="t-patcher: 2 workers died"):
            grid._got(reference, "t-patcher")
    finally:
        ray.shutdown()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nonsense", "host.invalid:6379", "auto"])
def test_an_address_where_nobody_answers_is_named(address, spec, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # for `auto`, so that no cluster of somebody else is joined
    monkeypatch.setattr(BenchSpec, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(InputError, match=f"Ray at {address}: no cluster"):
        execute([Job(spec, RUNS[0])], on=Cluster(address))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_somebody_else_who_answers_is_not_taken_for_ray(answer, spec):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(64)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(InputError, match="not Ray"):
            execute([Job(spec, RUNS[0])], on=Cluster(f"127.0.0.1:{server.getsockname()[1]}"))
        thread.join()


def test_without_ray_the_command_that_installs_it_is_named(spec, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "ray.util.scheduling_strategies", raising=False)
    with pytest.raises(InputError, match=r"pip install 'polypatch\[ray\]'"):
        execute([Job(spec, RUNS[0])], on=Cluster())


@pytest.mark.parametrize(
    "kind", [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, PolypatchError)]
)
def test_every_error_survives_the_way_from_a_worker(kind):
    wrapped = ray.exceptions.RayTaskError("work", "trace", kind("what was wrong"))
    found = pickle.loads(pickle.dumps(wrapped)).cause  # noqa: S301
    assert type(found) is kind
    assert str(found) == "what was wrong"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("filed", [False, True])
def test_exported_and_lent_rows_are_the_same_bits_and_none_is_copied(dtype, filed, tmp_path):
    device = torch.device("cpu")
    cache = QueryCache(16, device, tmp_path if filed else None, dtype=dtype)
    texts = [named(f"text {i}") for i in range(SMALL + 50)]
    own = named("its own")
    q = torch.randn(len(texts), 16, generator=torch.Generator().manual_seed(0))
    cache.add(texts[:SMALL], q[:SMALL])
    cache.add(texts[SMALL:], q[SMALL:])
    keys, rows = cache.export()
    assert rows.dtype == {torch.float32: np.float32, torch.float16: np.float16}[dtype]
    rows.flags.writeable = False  # as Ray hands it out
    other = QueryCache(16, device, dtype=dtype)
    other.add([*texts[:3], own], q[:4])
    other.lend(keys, rows)
    mixed = [*reversed(texts), own, *texts[:9]]
    assert not other.missing(mixed)
    assert torch.equal(other.take(texts), cache.take(texts))
    assert torch.equal(other.take(mixed)[len(texts)], other.take([own])[0])
    assert other.summary().memory_bytes < 16 * 16 * 4
    other.add([named("one more")], q[:1])
    assert torch.equal(other.take([named("one more"), texts[7]]), cache.take([texts[0], texts[7]]))


def test_rows_of_another_width_or_dtype_are_not_lent():
    cache = QueryCache(16, torch.device("cpu"))
    for rows in (np.zeros((2, 8), np.float32), np.zeros((2, 16), np.float16), np.zeros((1, 16), np.float32)):
        with pytest.raises(InputError, match="cannot be lent"):
            cache.lend(bytes(64), rows)


def test_an_empty_cache_is_exported():
    keys, rows = QueryCache(16, torch.device("cpu")).export()
    assert (keys, rows.shape) == (b"", (0, 16))
