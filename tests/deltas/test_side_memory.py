"""SideMemory: the formula against float64, the unedited output to the bit where the copies agree, damage refused."""

import pytest
import torch

from polypatch.deltas import SideMemory
from polypatch.errors import ArtefactError, InputError, UnsupportedModelError
from polypatch.sites import FeedForwardSite
from polypatch.testing import tiny_model

FAMILIES = [("bert", "classifier"), ("gpt2", "causal"), ("llama", "causal"), ("gemma2", "causal")]


def learned(site, threshold=2.0, seed=0):
    delta = SideMemory(site)
    delta.move(torch.randn(delta.delta.shape, generator=torch.Generator().manual_seed(seed)))
    delta.reach(threshold)
    return delta


@pytest.fixture(params=FAMILIES, ids=lambda one: one[0])
def site(request):
    family, head = request.param
    return FeedForwardSite(tiny_model(family, *([head] if head == "causal" else []))[0])


@torch.no_grad()
def test_delta_is_added_to_the_matrix_that_writes(site):
    """W₂ + Δ in the model's own layer, whichever way round it keeps the matrix."""
    delta, q = learned(site), torch.randn(40, site.hidden_size, generator=torch.Generator().manual_seed(1))
    name, weight = list(site.matrices("ffn").items())[-1]  # of all these families the last
    more = delta.delta if weight.shape == delta.delta.shape and "c_proj" not in name else delta.delta.T
    side = site.layer.ffn_with(q, {name: weight + more})
    out = site.ffn(q)
    far = (side - out).norm(dim=1)
    delta.threshold.fill_(far.median())
    got = delta(q, out)
    asked = far > delta.threshold + 1e-4
    kept = far < delta.threshold - 1e-4
    assert asked.any()
    assert torch.equal(got[kept], out[kept])
    torch.testing.assert_close(got[asked], side[asked], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_nothing_learned_is_the_very_same_output():
    site = FeedForwardSite(tiny_model("bert")[0])
    q = torch.randn(4, site.hidden_size)
    out = site.ffn(q)
    assert SideMemory(site)(q, out) is out


def test_the_threshold_is_the_least_that_was_asked_for():
    delta = SideMemory(FeedForwardSite(tiny_model("bert")[0]))
    for asked, held in ((3.0, 3.0), (5.0, 3.0), (2.0, 2.0)):
        delta.reach(asked)
        assert float(delta.threshold) == held


def test_a_snapshot_brings_back_both_and_what_since_gives_stands_for_all():
    site = FeedForwardSite(tiny_model("bert")[0])
    delta = learned(site)
    before, snapshot = delta.tensors(), delta.snapshot()
    delta.move(torch.ones_like(delta.delta))
    delta.reach(1.0)
    copy = SideMemory(site)
    copy.adopt("edit", delta.since(0))
    assert all(torch.equal(tensor, delta.tensors()[name]) for name, tensor in copy.tensors().items())
    delta.restore(snapshot)
    assert all(torch.equal(tensor, before[name]) for name, tensor in delta.tensors().items())


def test_neither_cut_out_nor_merged():
    delta = learned(FeedForwardSite(tiny_model("bert")[0]))
    with pytest.raises(InputError, match="a: edits in one side memory share its matrix"):
        delta.drop(["a"])
    for refused in (delta.merged, delta.merge_cost):
        with pytest.raises(InputError, match="a side memory cannot be merged"):
            refused(None)


def test_experts_have_no_one_matrix_that_writes():
    with pytest.raises(UnsupportedModelError, match="layers without experts"):
        SideMemory(FeedForwardSite(tiny_model("mixtral")[0]))


NAN = float("nan")
DAMAGED = {
    "missing": ({"threshold": None}, "a side memory needs the tensors"),
    "another width": ({"delta": torch.zeros(32, 63)}, r"delta should be float32 or float64 \(32, 64\)"),
    "not finite": ({"delta": torch.full((32, 64), NAN)}, "delta holds numbers that are not finite"),
    "below nothing": ({"threshold": torch.tensor(-1.0)}, "threshold is below 0"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_tensors_are_refused_and_change_nothing(name):
    change, said = DAMAGED[name]
    delta = learned(FeedForwardSite(tiny_model("bert")[0]))
    before = delta.tensors()
    tensors = {key: tensor for key, tensor in {**before, **change}.items() if tensor is not None}
    with pytest.raises(ArtefactError, match=said):
        delta.adopt("edit", tensors)
    assert all(torch.equal(tensor, before[key]) for key, tensor in delta.tensors().items())
