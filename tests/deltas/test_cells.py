"""The index of a NearestBank: what is found is near, an entry's own text always is, and no way to a bank matters."""

import pytest
import torch

from polypatch.deltas import NearestBank, cells
from polypatch.deltas.nearness import nearest
from test_nearest_bank import D, bank, frame


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(cells, "BLOCK", 4)
    monkeypatch.setattr(cells, "PROBES", 3)


def looked_through(made, q, monkeypatch):
    """What is nearest if all entries are looked at."""
    with monkeypatch.context() as patched:
        patched.setattr(cells, "PROBES", 10_000)
        return nearest(q, made._buffers)


def some(count=200, seed=3):
    return torch.randn(count, D, generator=torch.Generator().manual_seed(seed))


def test_what_is_found_is_the_nearest_or_one_that_is_less_near(monkeypatch):
    made, _, _ = bank(entries=18)
    q = some()
    found, whole = nearest(q, made._buffers), looked_through(made, q, monkeypatch)
    same = found.entry == whole.entry
    assert 0.6 < same.double().mean() < 1
    torch.testing.assert_close(found.near[same], whole.near[same])
    assert (found.near[~same] <= whole.near[~same]).all()
    beyond = whole.entry >= len(made._buffers["order"])
    assert 0 < int(beyond.sum()) < len(q)
    assert same[beyond].all()  # entries that are in no cell yet are all looked at


def test_the_texts_of_edits_find_their_own_entries():
    made, q, _ = bank(entries=19)
    assert len(made._buffers["order"]) == 16
    assert torch.equal(nearest(q, made._buffers).entry, torch.arange(19))
    one_by_one = [nearest(row.unsqueeze(0), made._buffers) for row in q]
    assert [int(one.entry) for one in one_by_one] == list(range(19))


def test_cells_that_are_empty_hold_nothing_that_acts(monkeypatch):
    monkeypatch.setattr(cells, "PROBES", 1)
    made, _, _ = bank(entries=4)
    q = some()
    assert (nearest(q, made._buffers).near == -2).any()
    out = torch.zeros(len(q), D)
    acts = made.activations(q).sum(1) > 0
    assert torch.equal(made(q, out)[~acts], out[~acts])


def test_the_index_is_the_same_whichever_way_the_bank_came_to_be():
    made, q, _ = bank(entries=13)
    loaded, grown, less = NearestBank(D), NearestBank(D), NearestBank(D)
    loaded.load_tensors(made.tensors(), made.owners)
    grown.frame(frame()[1])
    snapshot = {}
    for i, row in enumerate(q):
        snapshot[i] = grown.snapshot()
        grown.append(f"edit-{i}", row, made._buffers["values"][i])
    less.load_tensors(made.tensors(), made.owners)
    less.drop(["edit-2", "edit-12"])
    without = made.without(12).without(2)
    for name in ("cells", "order", "starts"):
        assert torch.equal(made._buffers[name], loaded._buffers[name])
        assert torch.equal(made._buffers[name], grown._buffers[name])
        assert torch.equal(less._buffers[name], without._buffers[name])
    assert len(less._buffers["order"]) == 8
    grown.restore(snapshot[9])
    assert len(grown._buffers["order"]) == 8
    assert torch.equal(nearest(q[:9], grown._buffers).entry, torch.arange(9))
