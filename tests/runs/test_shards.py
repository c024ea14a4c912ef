"""Encoding in shards by several processes: the files of one process, nothing lost to a kill, and nobody in vain."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polypatch.errors import InputError, PolypatchError
from polypatch.runs import Encoded, Event, Job, Processes, Run, execute, pool, unencoded
from polypatch.runs.pool import LastOpened
from polypatch.sites.tails import frozen_tail
from polypatch.store.identity import Identity
from sentence_encoders import WIDTH, sentence_encoder

from .test_runs import FAST, timeless

PLAIN, MEANS = Run(recipe="t-patcher", settings=FAST), Run(recipe="polypatch", reads="means")
RUNS = {"classifier": [PLAIN], "reads": [PLAIN, MEANS], "language model": [PLAIN], "half": [PLAIN]}
ROWS = 10
MARKER = "POLYPATCH_TEST_MARKER"
ENCODE = pool._encode


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Shards of a few rows, which are worth a process."""
    monkeypatch.setattr(frozen_tail, "CHUNK", ROWS)
    monkeypatch.setattr(unencoded, "FEW", 0)


@pytest.fixture
def kept(spec, speaking, tmp_path):
    """A function: the spec of a kind, with a folder of queries of that name."""

    def make(kind, name):
        base = speaking if kind == "language model" else replace(spec, half=kind == "half")
        return replace(base, cache_dir=str(tmp_path / name))

    return make


@pytest.fixture(scope="module")
def three():
    with pool._workers(3) as (executor, _):
        yield executor


def files(spec):
    """The files of a cache by name: what stands in the header, whose order is safetensors', and all bytes behind it."""
    folder = Path(spec.cache_dir)
    return {path.relative_to(folder).as_posix(): parted(path) for path in folder.rglob("*") if path.is_file()}


def parted(path):
    raw = path.read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(raw[8:end]), raw[end:]


def dying(spec, shard):
    """What a worker does; one is killed in the last shard."""
    if len(shard.rows) < ROWS:
        os.kill(os.getpid(), signal.SIGKILL)
    return ENCODE(spec, shard)


@pytest.mark.parametrize("kind", RUNS)
def test_three_processes_give_the_files_of_one(kind, kept, three):
    one, several = kept(kind, "one"), kept(kind, "several")
    alone, told = one.open().encode(RUNS[kind]), []
    bench = several.open(lambda *done: told.append(done))
    todo = bench.unencoded(RUNS[kind])
    assert len(todo.shards) > 3
    done = pool._in_shards(three, several, todo)
    assert files(several) == files(one)
    assert replace(done, seconds=alone.seconds) == alone
    assert done.fresh > 3 * ROWS
    assert told[-1] == ("encoding", done.fresh, done.fresh)
    assert [count for _, count, _ in told] == sorted(count for _, count, _ in told)
    assert bench.encode(RUNS[kind]).fresh == 0
    site = bench.tail.site
    assert (site.kept > site.read_size) == (kind == "language model"), "the residual is kept with the query"


def test_what_a_sentence_encoder_reads_is_encoded_by_whoever_is_free(kept, three, tmp_path):
    runs = [replace(MEANS, reads=f"encoder:{sentence_encoder(tmp_path / 'encoder')}")]
    one, several = kept("classifier", "one"), kept("classifier", "several")
    alone, bench = one.open().encode(runs), several.open()
    todo = bench.unencoded(runs)
    assert len(todo.shards) > 3
    assert pool._in_shards(three, several, todo).fresh == alone.fresh
    assert files(several) == files(one)
    site = bench.tail_at(None, runs[0].built().reads).site
    assert site.read_size == site.hidden_size + WIDTH


def test_a_run_is_another_with_another_sentence_encoder(spec, tmp_path):
    folder, found = tmp_path / "encoder", []
    run = replace(MEANS, reads=f"encoder:{folder}")
    for seed in (5, 5, 6):
        sentence_encoder(folder, seed=seed)
        found.append(Identity(spec.open().identity(run, [])))
    assert found[0] == found[1]
    assert found[2].difference(found[0].facts).startswith("sentence encoder was")
    assert "sentence encoder" not in spec.open().identity(MEANS, [])


def test_workers_find_what_they_have_encoded(spec, tmp_path):
    """A grid in two processes, whose workers opened their workbenches before there was a query."""
    cached, said = replace(spec, cache_dir=str(tmp_path / "queries")), []
    jobs = [Job(cached, PLAIN), Job(cached, replace(PLAIN, seed=1))]
    found = execute(jobs, on=Processes(2), on_event=said.append)
    (encoded,) = [event for event in said if isinstance(event, Encoded)]
    assert encoded.fresh == encoded.texts == encoded.cache.texts
    assert Event(None, "encoding", encoded.fresh, encoded.fresh) in said
    # A worker that encoded again would write all as one file.
    assert len(files(cached)) == -(-encoded.fresh // ROWS)
    alone = execute([Job(spec, job.run) for job in jobs])
    assert [timeless(r) for rs in found for r in rs] == [timeless(r) for rs in alone for r in rs]


def test_a_killed_process_costs_what_it_was_at(kept, monkeypatch):
    spec, whole = kept("classifier", "killed"), kept("classifier", "one")
    total = whole.open().encode([PLAIN]).fresh
    monkeypatch.setattr(pool, "_encode", dying)
    with pytest.raises(PolypatchError, match="a worker process was killed"):
        execute([Job(spec, PLAIN)], on=Processes(2))
    lost = total - ROWS * len(files(spec))
    assert 0 < lost < total
    again = spec.open()
    assert again.encode([PLAIN]).fresh == lost
    rows = again.tail.readout.rows(again.texts([PLAIN]))
    assert torch.equal(again.tail.queries(rows).q, whole.open().tail.queries(rows).q)


def test_ctrl_c_keeps_the_shards_that_came(kept, monkeypatch):
    monkeypatch.setattr(pool, "_benches", LastOpened())
    spec = kept("classifier", "queries")

    def stop(_, done, __):
        if done == 2 * ROWS:
            raise KeyboardInterrupt

    todo = spec.open(stop).unencoded([PLAIN])
    total = sum(len(shard.rows) for shard in todo.shards)
    with ThreadPoolExecutor(1) as one, pytest.raises(KeyboardInterrupt):
        pool._in_shards(one, spec, todo)
    assert len(files(spec)) == 2
    assert spec.open().encode([PLAIN]).fresh == total - 2 * ROWS


def test_a_worker_that_finds_another_model_says_so(kept, three):
    spec = kept("classifier", "queries")
    shard = spec.open().unencoded([PLAIN]).shards[0]
    assert three.submit(pool._encode, spec, shard).result().shape == (ROWS, 32)
    with pytest.raises(InputError, match="a worker found other weights, another tokenizer"):
        three.submit(pool._encode, spec, shard._replace(fingerprint="another")).result()


@pytest.mark.parametrize("on", [Processes(1), Processes(3)])
def test_few_texts_and_one_process_start_nobody(on, spec, monkeypatch):
    monkeypatch.setattr(unencoded, "FEW", 0 if on.n == 1 else 99)
    monkeypatch.setattr(pool, "_workers", lambda *_: pytest.fail("started"))
    said = []
    execute([Job(spec, PLAIN)], on=on, on_event=said.append)
    assert [event.fresh > 3 * ROWS for event in said if isinstance(event, Encoded)] == [True]
