"""Encoding in shards on Ray: the files of one process, also where a worker is killed on the way."""

import os
import signal
from dataclasses import replace

import pytest
import torch

from polypatch.runs import Job, cluster, ray_connection, unencoded
from polypatch.sites.tails import frozen_tail
from sentence_encoders import sentence_encoder

from .test_shards import MEANS, PLAIN, ROWS, RUNS, files

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def connection(nodes):
    with ray_connection.connected(ray, nodes.address):
        yield


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(frozen_tail, "CHUNK", ROWS)
    monkeypatch.setattr(unencoded, "FEW", 0)


def fragile(folder, rows, encode=cluster._encode):
    """What workers do. Made in a function, it travels to them whole, and needs no tests there."""
    started, killed = folder / "started", folder / "killed"

    def do(spec, shard, place):
        with started.open("a") as file:
            file.write(f"{os.getpid()}\n")
        if len(shard.rows) < rows and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return encode(spec, shard, place)

    return do


def published(spec, runs, said, alone=True):
    """The driver's part: where the queries are."""
    grid = cluster._Grid(ray, {i: Job(spec, run) for i, run in enumerate(runs)}, said.append, alone)
    steps = grid._published(spec)
    try:
        while True:
            next(steps)
    except StopIteration as ended:
        return ended.value


@pytest.mark.parametrize("kind", RUNS)
def test_workers_give_the_files_of_one_process_though_one_is_killed(
    kind, spec, speaking, connection, tmp_path, monkeypatch
):
    base = speaking if kind == "language model" else replace(spec, half=kind == "half")
    one, several = (replace(base, cache_dir=str(tmp_path / name)) for name in ("one", "several"))
    alone, said = one.open().encode(RUNS[kind]), []
    monkeypatch.setattr(cluster, "_encode", fragile(tmp_path, ROWS))
    published(several, RUNS[kind], said)
    assert files(several) == files(one)
    assert replace(said[-1], seconds=alone.seconds) == alone
    shards = len(files(one))
    starts = (tmp_path / "started").read_text().split()
    assert (tmp_path / "killed").exists()
    assert len(starts) == shards + 1, "the lost shard is done again, and no other"


def test_where_no_folder_is_shared_a_worker_encodes_nothing_whatever_is_read(spec, connection, tmp_path):
    runs, said = [PLAIN, MEANS, replace(MEANS, reads=f"encoder:{sentence_encoder(tmp_path.resolve())}")], []
    place = published(spec, runs, said, alone=False)
    assert set(place.queries) == {(None, "query"), (None, "means"), (None, runs[2].reads)}
    there, here = spec.open(), spec.open()
    here.encode(runs)
    for run in runs:
        assert cluster._lent(there, place, Job(spec, run)).here().fresh == 0
    for at in place.queries:
        rows = here.tail.readout.rows(here.texts(runs))
        assert torch.equal(there.tail_at(*at).cache.take(rows), here.tail_at(*at).cache.take(rows))
