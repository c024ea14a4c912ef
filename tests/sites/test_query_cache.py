"""The query cache at full size: mapped and shared files, encoding that goes on after a kill, half precision."""

import os
import signal
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from named_rows import named
from polypatch.data import write_jsonl
from polypatch.errors import DataError, InputError
from polypatch.runs import BenchSpec, Run
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail
from polypatch.sites.encoding import query_cache
from polypatch.sites.encoding.query_cache import QueryCache
from polypatch.sites.encoding.tokens import Tokens
from polypatch.sites.tails import frozen_tail
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

CPU = torch.device("cpu")
WIDTH = 16
MANY = query_cache.SMALL + 88
SIZES = (3, MANY, 1, MANY + 1, 5)  # small shards and mapped ones


def rows(n, seed=0):
    return torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(seed))


def names(n, what="text"):
    return [named(f"{what} {i}") for i in range(n)]


def filled(cache, sizes=SIZES, what="text"):
    """Portions of `sizes` added; all texts and their queries."""
    texts, q = names(sum(sizes), what), rows(sum(sizes))
    for start, size in zip(np.cumsum((0, *sizes)), sizes, strict=False):
        cache.add(texts[start : start + size], q[start : start + size])
    return texts, q


def mixed(texts, n=3000):
    """Indices in no order, some twice."""
    return torch.randint(len(texts), (n,), generator=torch.Generator().manual_seed(1)).tolist()


def shards(folder):
    return sorted(folder.rglob("*.queries.safetensors"), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_rows_from_files_are_the_bits_of_rows_from_memory(tmp_path, dtype):
    """In the process that wrote them and in the next, across small and mapped shards, in any order."""
    writing, held = QueryCache(WIDTH, CPU, tmp_path, dtype=dtype), QueryCache(WIDTH, CPU, dtype=dtype)
    texts, q = filled(writing)
    filled(held)
    picks = mixed(texts)
    asked = [texts[i] for i in picks]
    for cache in (held, writing, QueryCache(WIDTH, CPU, tmp_path, dtype=dtype)):
        taken = cache.take(asked)
        assert taken.dtype == torch.float32
        assert torch.equal(taken, q[picks].to(dtype).float())
        assert torch.equal(cache.take(texts[:2]), q[:2].to(dtype).float())
        assert cache.take([]).shape == (0, WIDTH)
        assert len(cache) == len(texts)
        assert cache.missing([*texts, named("another")]) == [named("another")]


def test_a_taken_row_is_the_callers_own(tmp_path):
    """Writing into it changes neither the cache nor the file."""
    cache = QueryCache(WIDTH, CPU, tmp_path)
    texts, q = filled(cache)
    cache.take(texts)[:] = 7
    cache.take(texts[4:6])[:] = 7
    assert torch.equal(cache.take(texts), q)
    assert torch.equal(QueryCache(WIDTH, CPU, tmp_path).take(texts), q)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_large_shards_are_mapped_and_keep_no_file_open(tmp_path):
    filled(QueryCache(WIDTH, CPU, tmp_path))
    cache = QueryCache(WIDTH, CPU, tmp_path)
    mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if str(tmp_path) in line}
    assert mapped == {str(path) for path in shards(tmp_path)[-2:]}
    # The listing's own descriptor is closed again by the time it is looked at.
    opened = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    assert not any(name.startswith(str(tmp_path)) for name in opened)
    assert cache.summary().memory_bytes < 20 * WIDTH * 4


def test_the_summary_says_what_there_is(tmp_path):
    cache = QueryCache(WIDTH, CPU, tmp_path)
    texts, _ = filled(cache)
    summary = cache.summary()
    assert (summary.texts, summary.shards, summary.hidden_size) == (len(texts), 5, WIDTH)
    assert (summary.dtype, summary.rounding) == ("float32", 0.0)
    assert summary.disk_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert summary.disk_bytes > len(texts) * (4 * WIDTH + 32)
    again = QueryCache(WIDTH, CPU, tmp_path).summary()
    assert (again.texts, again.shards, again.disk_bytes) == (summary.texts, summary.shards, summary.disk_bytes)
    in_memory = QueryCache(WIDTH, CPU)
    filled(in_memory)
    assert in_memory.summary().shards == in_memory.summary().disk_bytes == 0
    assert in_memory.summary().memory_bytes >= len(texts) * 4 * WIDTH


@pytest.mark.parametrize("n", [3, MANY])
def test_shards_from_before_there_were_checksums_are_read(tmp_path, n):
    keys = torch.from_numpy(np.frombuffer(b"".join(row.key for row in names(n)), np.uint8).reshape(n, 32).copy())
    save_file({"keys": keys, "queries": rows(n)}, tmp_path / "old.queries.safetensors")
    cache = QueryCache(WIDTH, CPU, tmp_path)
    cache.add([named("new")], rows(1, seed=1))
    assert torch.equal(cache.take(names(n)), rows(n))
    assert torch.equal(QueryCache(WIDTH, CPU, tmp_path).take([named("new")]), rows(1, seed=1))


def test_two_caches_over_one_folder(tmp_path):
    """Both write the same portions and their own; a file replaced under a mapping changes nothing."""
    one, two = QueryCache(WIDTH, CPU, tmp_path), QueryCache(WIDTH, CPU, tmp_path)
    texts, q = filled(one)
    filled(two)
    filled(two, (4, MANY), "only two")
    assert torch.equal(one.take(texts), q)
    third = QueryCache(WIDTH, CPU, tmp_path)
    assert len(third) == len(texts) + MANY + 4
    assert torch.equal(third.take(texts), q)
    assert torch.equal(third.take(names(MANY + 4, "only two")), rows(MANY + 4))
    assert len(list(tmp_path.iterdir())) == 7
    for path in tmp_path.iterdir():
        path.unlink()
    assert torch.equal(third.take(texts), q)


def test_what_others_have_written_since_is_found_when_it_is_looked_for(tmp_path):
    one, two = QueryCache(WIDTH, CPU, tmp_path), QueryCache(WIDTH, CPU, tmp_path)
    texts, q = filled(one)
    assert two.missing(texts) == texts
    two.refresh()
    one.refresh()  # and its own are not served twice
    assert torch.equal(two.take(texts), q)
    assert two.summary() == one.summary()
    in_memory = QueryCache(WIDTH, CPU)
    in_memory.refresh()
    assert len(in_memory) == 0


# -- Damage --


def corrupted(path, place, bits=0xFF):
    raw = bytearray(path.read_bytes())
    raw[place] ^= bits
    path.write_bytes(bytes(raw))


def header_end(path):
    return 8 + int.from_bytes(path.read_bytes()[:8], "little")


def resaved(path, **changes):
    """The same file with other tensors or metadata."""
    metadata = changes.pop("metadata", None)
    save_file({**load_file(path), **changes}, path, metadata)


def unlike_itself(path, make):
    path.unlink()
    make(path)


DAMAGE = {
    "cut by a byte": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut in the header": lambda path: os.truncate(path, 40),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "first number": lambda path: corrupted(path, header_end(path)),
    "one bit of a number": lambda path: corrupted(path, header_end(path) + 77, 1),
    "a key": lambda path: corrupted(path, path.stat().st_size - 5, 1),
    "another precision": lambda path: resaved(path, queries=load_file(path)["queries"].half()),
    "integers": lambda path: resaved(path, queries=load_file(path)["queries"].int()),
    "foreign metadata": lambda path: resaved(path, metadata={"format": "pt"}),
    "a checksum that is no number": lambda path: resaved(
        path, metadata={"keys": "x", "queries": "1", "rounding": "0.0"}
    ),
    "a folder": lambda path: unlike_itself(path, Path.mkdir),
    "a pipe": lambda path: unlike_itself(path, os.mkfifo),
    "a link to nowhere": lambda path: unlike_itself(path, lambda p: p.symlink_to("nowhere")),
}


@pytest.mark.parametrize("n", [3, MANY])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named_before_a_number_comes_out(tmp_path, damage, n):
    """At opening, or at the first row taken: a DataError with the file and the fix."""
    QueryCache(WIDTH, CPU, tmp_path).add(names(n), rows(n))
    (shard,) = shards(tmp_path)
    DAMAGE[damage](shard)
    with pytest.raises(DataError, match=rf"{shard.name}.*delete the file"):
        QueryCache(WIDTH, CPU, tmp_path).take(names(1))


@given(st.data())
def test_no_damage_gives_a_wrong_number(tmp_path_factory, data):
    """Bytes changed or cut off anywhere, in a small or a mapped shard: a DataError, or the bits that were written."""
    folder, n = tmp_path_factory.mktemp("cache"), data.draw(st.sampled_from([3, MANY]))
    QueryCache(WIDTH, CPU, folder).add(names(n), rows(n))
    (shard,) = shards(folder)
    raw = bytearray(shard.read_bytes())
    # Half of the time in the header, which is a small part of the file.
    place = data.draw(st.integers(0, header_end(shard)) | st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        noise = data.draw(st.binary(min_size=1, max_size=20))
        raw[place : place + len(noise)] = noise
    else:
        del raw[place:]
    shard.write_bytes(bytes(raw))
    try:
        cache = QueryCache(WIDTH, CPU, folder)
        assert cache.missing(names(n)) == []
        taken = cache.take(names(n))
    except DataError:
        return
    assert torch.equal(taken, rows(n))


def test_an_undamaged_shard_is_checked_once(tmp_path, monkeypatch):
    """The checksum costs one reading per process, not one per take."""
    filled(QueryCache(WIDTH, CPU, tmp_path))
    cache, read = QueryCache(WIDTH, CPU, tmp_path), []
    monkeypatch.setattr(zlib, "crc32", lambda raw, real=zlib.crc32: read.append(len(raw)) or real(raw))
    for _ in range(3):
        cache.take(names(MANY))
    assert read == [MANY * WIDTH * 4]


# -- Encoding --


@pytest.fixture
def tail(tiny, monkeypatch):
    """A function: a tail of the tiny model that encodes 8 texts at a time, and says what it encodes."""
    monkeypatch.setattr(frozen_tail, "CHUNK", 8)

    def make(folder=None, **options):
        made = FrozenTail(FeedForwardSite(tiny("bert")[0]), tiny("bert")[1], cache_dir=folder, **options)
        made.encoded = []
        real = made.encoder.queries

        def counted(texts, *rest):
            made.encoded += texts
            return real(texts, *rest)

        made.encoder.queries = counted
        return made

    return make


TEXTS = [*tiny_texts(30, seed=3), "ba be bi bo bu " * 12, "ba"]
ROWS = Tokens(tiny_model("bert")[1]).rows(TEXTS)


def test_chunks_give_the_bits_of_one_pass(tail, tmp_path):
    told = []
    one = tail(tmp_path, progress=lambda *done: told.append(done))
    assert one.encode([*ROWS, *ROWS[:3]]) == len(ROWS)
    assert torch.equal(one.queries(ROWS).q, one.encoder.queries(ROWS).q)
    assert len(shards(tmp_path)) == 4
    assert told == sorted(told)
    assert told[-1] == (len(ROWS), len(ROWS))
    assert {total for _, total in told} == {len(ROWS)}
    second = tail(tmp_path)
    assert second.encode(ROWS) == 0
    assert torch.equal(second.queries(ROWS).q, one.queries(ROWS).q)
    assert second.encoded == []


def test_what_was_encoded_before_an_interruption_stays(tail, tmp_path):
    """Two chunks are done when Ctrl-C comes in the third: two are on disk, and the rest is encoded next time."""

    def stop(done, _):
        if done > 17:
            raise KeyboardInterrupt

    stopped = tail(tmp_path, progress=stop)
    with pytest.raises(KeyboardInterrupt):
        stopped.encode(ROWS)
    assert len(stopped.cache) == 16
    again = tail(tmp_path)
    assert again.encode(ROWS) == len(ROWS) - 16
    assert again.encoded == ROWS[16:]
    assert torch.equal(again.queries(ROWS).q, tail().queries(ROWS).q)


def forked(work):
    """A process that does `work`; its id."""
    with warnings.catch_warnings():  # newer Pythons warn of forks beside threads; there is one thread that matters
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def end_of(child):
    """Its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_kill_loses_one_chunk(tail, tmp_path, monkeypatch):
    """A real SIGKILL in the third chunk."""
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")

    def die(done, _):
        if done > 17:
            os.kill(os.getpid(), signal.SIGKILL)

    assert end_of(forked(lambda: tail(tmp_path, progress=die).encode(ROWS))) == -signal.SIGKILL
    after = tail(tmp_path)
    assert torch.equal(after.queries(ROWS).q, tail().queries(ROWS).q)
    assert after.encoded == ROWS[16:]


def test_processes_share_a_folder(tail, tmp_path, monkeypatch):
    """Three at once, of which two encode the same texts: nobody fails, and nothing is left to encode."""
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    children = [forked(lambda texts=texts: tail(tmp_path).encode(texts)) for texts in (ROWS, ROWS, ROWS[::-1])]
    assert [end_of(child) for child in children] == [0, 0, 0]
    after = tail(tmp_path)
    assert torch.equal(after.queries(ROWS).q, tail().queries(ROWS).q)
    assert after.encoded == []
    assert all(path.name.endswith(".queries.safetensors") for path in (tmp_path / after.fingerprint).iterdir())


def test_a_second_run_encodes_nothing(tail, tiny, tmp_path):
    """Encoding covers what a run asks for, and the next workbench finds all of it; in half precision too."""
    model, tokenizer = tiny("bert")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    write_jsonl(tiny_edits(6), tmp_path / "edits.jsonl")
    run = Run(recipe="mpn-all", settings={"views": 2, "max_steps": 4, "first_validation": 2, "validate_every": 2})
    told = []
    for half in (False, True):
        spec = BenchSpec(
            model=str(tmp_path / "model"),
            data=f"jsonl:{tmp_path / 'edits.jsonl'}",
            cache_dir=str(tmp_path / "cache"),
            half=half,
        )
        first = spec.open(lambda *done: told.append(done))
        assert first.encode().fresh == len(first.tail.cache) > 0
        assert first.tail.cache.summary().dtype == ("float16" if half else "float32")
        before = len(told)
        report = first.run(run)
        second = spec.open(lambda *done: told.append(done))
        assert second.encode().fresh == 0
        again = second.run(run)
        assert len(told) == before
        assert [r.to_row()["reliability"] for r in again] == [r.to_row()["reliability"] for r in report]
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_logits_over_slices_are_those_of_one_pass(tail, tmp_path):
    many = (ROWS * 100)[:2100]
    mapped = tail(tmp_path).logits(many, UNCHANGED)
    site = tail().site
    queries = tail().queries(ROWS)
    torch.testing.assert_close(
        mapped, site.logits(queries, site.ffn(queries.q)).repeat(100, 1)[:2100], rtol=0, atol=1e-6
    )


# -- Half precision --


def test_half_precision_has_its_folder_and_its_bound(tail, tmp_path):
    """Every number within 2⁻¹¹ of itself; the first process already works with what the second will read."""
    full, half = tail(tmp_path), tail(tmp_path, half=True)
    exact, kept = full.queries(ROWS).q, half.queries(ROWS).q
    assert len(half.encoded) == len(ROWS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [full.fingerprint, f"{full.fingerprint}-half"]
    gap = (kept - exact).abs()
    assert bool((gap <= torch.maximum(exact.abs() * 2**-11, torch.tensor(2.0**-25))).all())
    summary = half.cache.summary()
    assert summary.rounding == float(gap.max()) > 0
    assert summary.dtype == "float16"
    sizes = [
        sum(path.stat().st_size for path in shards(tmp_path / name))
        for name in (full.fingerprint, f"{full.fingerprint}-half")
    ]
    assert sizes[1] < 0.75 * sizes[0]
    again = tail(tmp_path, half=True)
    assert torch.equal(again.queries(ROWS).q, kept)
    assert again.encoded == []
    assert again.cache.summary().rounding == summary.rounding
    assert torch.equal(tail(half=True).queries(ROWS).q, kept)


def test_half_precision_states_the_error_of_logits(tail):
    half, full = tail(half=True), tail()
    stated = half.rounding(TEXTS)
    assert stated == float((half.logits(ROWS, UNCHANGED) - full.logits(ROWS, UNCHANGED)).abs().max())
    assert 0 < stated < 1e-2
    assert full.rounding(TEXTS) == 0
    assert 0 < half.rounding() < 1e-2
    assert half.rounding([]) == 0


@pytest.mark.parametrize("value", [65520.0, -1e6])
@pytest.mark.parametrize("on_disk", [True, False])
def test_half_precision_refuses_what_it_cannot_hold(tmp_path, value, on_disk):
    """65,520 is the first that rounds to infinity; nothing of the portion is kept."""
    cache = QueryCache(WIDTH, CPU, tmp_path if on_disk else None, dtype=torch.float16)
    q = rows(3)
    q[1, 2] = value
    with pytest.raises(InputError, match=r"float16 ends at 65504.*half=False"):
        cache.add(names(3), q)
    assert len(cache) == 0
    assert not shards(tmp_path)
    q[1, 2] = 65519.0
    cache.add(names(3), q)
    assert float(cache.take(names(3))[1, 2]) == 65504


def test_a_shard_of_another_precision_is_refused(tmp_path):
    QueryCache(WIDTH, CPU, tmp_path).add(names(MANY), rows(MANY))
    with pytest.raises(DataError, match=r"float32.*kept as torch.float16; delete the file"):
        QueryCache(WIDTH, CPU, tmp_path, dtype=torch.float16)
