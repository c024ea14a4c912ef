"""ResidualMemory: masks by hand, the formula, the unedited output to the bit outside, damage refused."""

import pytest
import torch

from polypatch.deltas import ResidualMemory
from polypatch.deltas.residual_memory import overlap_of
from polypatch.errors import ArtefactError, InputError, UnsupportedModelError
from polypatch.sites import FeedForwardSite
from polypatch.testing import tiny_model


@pytest.fixture(scope="module")
def site():
    return FeedForwardSite(tiny_model("bert")[0])


def queries(site, n, seed=1):
    return torch.randn(n, site.hidden_size, generator=torch.Generator().manual_seed(seed))


def learned(site, overlap=0.6, seed=0):
    """With the masks of three queries."""
    delta = ResidualMemory(site, 0.25)
    delta.begin(delta.written_from(queries(site, 20, seed=9)))
    delta.move(torch.randn(delta.memory.shape, generator=torch.Generator().manual_seed(seed)))
    masks = delta.mask_of(delta.written_from(queries(site, 3)))
    delta.store(masks, torch.full((3,), overlap))
    return delta


def test_a_mask_marks_what_is_farthest_above_the_mean_permuted(site):
    delta = ResidualMemory(site, 0.05)  # 3 of 64
    delta.centre[:4] = torch.tensor([5.0, 0.0, -3.0, 0.0])
    k = torch.zeros(1, 64)
    k[0, :6] = torch.tensor([5.5, 2.0, 0.0, -9.0, 1.0, 0.2])  # above the mean by .5, 2, 3, -9, 1, .2
    assert delta.mask_of(k)[0].tolist() == sorted(delta._order[[1, 2, 4]].tolist())
    assert delta._order.sort().values.tolist() == list(range(64))
    assert torch.equal(ResidualMemory(site)._order, delta._order)  # in every process
    masked = delta.masked(k, torch.tensor([[0, 3, 7]]))
    assert masked[0, :8].tolist() == pytest.approx([5.5, 0, 0, -9, 0, 0, 0, 0])


def test_the_overlap_by_hand():
    some, others = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[0, 1, 2, 3], [2, 3, 4, 5], [6, 7, 8, 9]])
    assert overlap_of(some, others, 10).tolist() == [[1.0, 0.5, 0.0]]


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
@torch.no_grad()
def test_the_nearest_masks_columns_are_added_where_enough_is_shared(family):
    site = FeedForwardSite(tiny_model(family, *(["causal"] if family != "bert" else []))[0])
    delta, own = learned(site), queries(site, 3)
    q = torch.cat([own + 0.2 * queries(site, 3, seed=5), own, queries(site, 60, seed=2)])
    out, k = site.ffn(q), delta.written_from(q)
    got = delta(q, out)
    shared, nearest = overlap_of(delta.mask_of(k), delta.masks, k.shape[1]).max(1)
    moved = 0
    for row in range(len(q)):
        mask = set(delta.masks[nearest[row]].tolist())
        if float(shared[row]) < 0.6:
            assert torch.equal(got[row], out[row])
            continue
        marked = torch.tensor([float(k[row, i]) if i in mask else 0.0 for i in range(k.shape[1])])
        torch.testing.assert_close(got[row], out[row] + delta.memory @ marked, atol=1e-4, rtol=1e-4)
        moved += 1
    assert 3 <= moved < 30
    assert (shared[3:6] == 1).all()
    assert nearest[3:6].tolist() == [0, 1, 2]


def test_without_masks_it_is_the_very_same_output(site):
    out = torch.randn(2, site.hidden_size)
    assert ResidualMemory(site, 0.25)(queries(site, 2), out) is out


def test_a_snapshot_brings_everything_back_and_what_since_gives_stands_for_all(site):
    delta = learned(site)
    before, snapshot = delta.tensors(), delta.snapshot()
    delta.move(torch.ones_like(delta.memory))
    delta.store(delta.masks[:1], torch.tensor([0.5]))
    copy = ResidualMemory(site)
    copy.adopt("edit", delta.since(0))
    assert all(torch.equal(tensor, delta.tensors()[name]) for name, tensor in copy.tensors().items())
    delta.restore(snapshot)
    assert all(torch.equal(tensor, before[name]) for name, tensor in delta.tensors().items())
    delta.restore(ResidualMemory(site, 0.25).snapshot())
    assert not any(bool(tensor.any()) for tensor in delta.tensors().values())


def test_neither_cut_out_nor_merged_nor_for_experts(site):
    delta = learned(site)
    with pytest.raises(InputError, match="a: edits in one residual memory share its matrix"):
        delta.drop(["a"])
    for refused in (delta.merged, delta.merge_cost):
        with pytest.raises(InputError, match="a residual memory cannot be merged"):
            refused(None)
    with pytest.raises(UnsupportedModelError, match="layers without experts"):
        ResidualMemory(FeedForwardSite(tiny_model("mixtral")[0]))


DAMAGED = {
    "missing": ({"centre": None}, "a residual memory needs the tensors"),
    "another width": ({"memory": torch.zeros(32, 63)}, r"memory should be float32 or float64 \(32, 64\)"),
    "another length": ({"overlaps": torch.zeros(2)}, r"overlaps should be float32 or float64 \(3,\)"),
    "not finite": ({"centre": torch.full((64,), float("nan"))}, "centre holds numbers that are not finite"),
    "a place too many": ({"masks": torch.full((3, 16), 64)}, "each between 0 and 63"),
    "no places": ({"masks": torch.zeros(3, 0, dtype=torch.long)}, "masks should have from 1 to 64 places"),
    "a number for masks": ({"masks": torch.tensor(1)}, r"masks should be int64 \(0, 0\)"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_tensors_are_refused_and_change_nothing(site, name):
    change, said = DAMAGED[name]
    delta = learned(site)
    before = delta.tensors()
    tensors = {key: tensor for key, tensor in {**before, **change}.items() if tensor is not None}
    with pytest.raises(ArtefactError, match=said):
        delta.adopt("edit", tensors)
    assert all(torch.equal(tensor, before[key]) for key, tensor in delta.tensors().items())
