"""The query cache: rows come back bit for bit, from memory and from disk, and a broken shard is said to be one."""

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from named_rows import named
from polypatch.errors import DataError
from polypatch.sites import FeedForwardSite, FrozenTail, Row
from polypatch.sites.encoding.query_cache import QueryCache
from polypatch.testing import tiny_texts
from properties.strategies import texts as any_text

CPU = torch.device("cpu")


def rows(n, width=4, seed=0):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


@given(st.lists(any_text.map(named), max_size=30), st.data())
def test_what_was_added_is_taken(tmp_path_factory, texts, data):
    """In any portions, in any order of asking, from memory and from a second cache over the same folder."""
    folder = tmp_path_factory.mktemp("cache")
    cache, rest = QueryCache(4, CPU, folder), list(texts)
    wanted = dict(zip(texts, rows(len(texts)), strict=True))  # the last row of a text that occurs twice
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        missing = cache.missing(rest[:size])
        assert len({row.key for row in missing}) == len(missing)
        if missing:
            cache.add(missing, torch.stack([wanted[text] for text in missing]))
        rest = rest[size:]
    asked = data.draw(st.permutations(texts))
    for reader in (cache, QueryCache(4, CPU, folder)):
        assert reader.missing(asked) == []
        assert len(reader) == len(set(texts))
        taken = reader.take(asked)
        assert taken.shape == (len(asked), 4)
        assert all(torch.equal(row, wanted[text]) for row, text in zip(taken, asked, strict=True))


@given(st.lists(any_text, unique=True, min_size=2, max_size=20))
def test_no_two_rows_share_a_key(texts):
    assert len({named(text).key for text in texts}) == len(texts)


def test_every_part_of_a_row_counts():
    rows = [Row((1, 2), 0), Row((1, 2), 1), Row((1, 2), 0, (0, 0)), Row((1, 2, 0), 0, (0,)), Row((1, 2), 0, (), "de")]
    rows += [Row((1, 2), 0, (), "fr"), Row((1,), 0, (2,)), Row((1, 2, 0, 0), 0), Row((2, 1), 0)]
    assert len({row.key for row in rows}) == len(set(rows)) == len(rows)
    assert rows[4].origin == rows[0] == Row((1, 2), 0)
    for other in (copy.deepcopy(rows[4]), pickle.loads(pickle.dumps(rows[4]))):  # noqa: S301
        assert (other, other.via, hash(other)) == (rows[4], "de", hash(rows[4]))


def test_two_caches_share_a_folder(tmp_path):
    """Both write, overlapping; a third sees the union, and no temporary file is left."""
    one, two = QueryCache(4, CPU, tmp_path), QueryCache(4, CPU, tmp_path)
    q, abc, d = rows(4), [*map(named, "abc")], named("d")
    one.add(abc, q[:3])
    two.add([abc[1], d], q[[1, 3]])
    one.add([d], q[3:])
    assert one.missing([named("e"), abc[0]]) == [named("e")]
    third = QueryCache(4, CPU, tmp_path)
    assert len(third) == 4
    assert torch.equal(third.take([d, *abc[::-1]]), q.flip(0))
    assert all(path.name.endswith(".queries.safetensors") for path in tmp_path.iterdir())


KEYS = torch.zeros(3, 32, dtype=torch.uint8)
BROKEN = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(b"\xff" * 200),
    "another width": lambda path: save_file({"keys": KEYS, "queries": rows(3, 5)}, path),
    "fewer keys": lambda path: save_file({"keys": torch.zeros(2, 32, dtype=torch.uint8), "queries": rows(3)}, path),
    "short keys": lambda path: save_file({"keys": torch.zeros(3, 16, dtype=torch.uint8), "queries": rows(3)}, path),
    "keys of another type": lambda path: save_file({"keys": torch.zeros(3, 32), "queries": rows(3)}, path),
    "no keys": lambda path: save_file({"queries": rows(3)}, path),
    "one number": lambda path: save_file({"keys": torch.zeros(32, dtype=torch.uint8), "queries": torch.ones(())}, path),
    "a dimension too few": lambda path: save_file({"keys": KEYS, "queries": torch.ones(3)}, path),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_shard_is_a_data_error(tmp_path, damage):
    """Named by its path, with the fix; never a traceback, never a wrong row."""
    QueryCache(4, CPU, tmp_path).add([*map(named, "abc")], rows(3))
    (shard,) = tmp_path.iterdir()
    BROKEN[damage](shard)
    with pytest.raises(DataError, match=rf"{shard.name}.*delete the file"):
        QueryCache(4, CPU, tmp_path)


@given(st.binary(max_size=60), st.integers(0, 400))
def test_random_damage_is_a_data_error_or_harmless(tmp_path_factory, noise, place):
    """Bytes overwritten anywhere: the shard is refused, or it is read as a table of the right shape."""
    folder = tmp_path_factory.mktemp("cache")
    QueryCache(4, CPU, folder).add([*map(named, "abc")], rows(3))
    (shard,) = folder.iterdir()
    raw = bytearray(shard.read_bytes())
    raw[place : place + len(noise)] = noise
    shard.write_bytes(bytes(raw))
    try:
        cache = QueryCache(4, CPU, folder)
    except DataError:
        return
    assert len(cache) <= 3


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_a_tail_over_a_folder_encodes_once(tiny, family, tmp_path):
    """A second tail finds every query on disk, bit for bit, and encodes nothing; another model finds none."""
    model, tokenizer = tiny(family)
    tail = FrozenTail(FeedForwardSite(model), tokenizer, cache_dir=tmp_path)
    texts = tail.readout.rows(tiny_texts(9))
    first = tail.queries(texts).q
    told = []
    again = FrozenTail(FeedForwardSite(model), tokenizer, cache_dir=tmp_path, progress=lambda *done: told.append(done))
    assert torch.equal(again.queries(texts).q, first)
    assert not told
    other, its_tokenizer = tiny(family, seed=1)
    assert len(FrozenTail(FeedForwardSite(other), its_tokenizer, cache_dir=tmp_path).cache) == 0
