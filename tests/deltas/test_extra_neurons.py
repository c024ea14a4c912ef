"""ExtraNeurons: the formula in float64, the unedited model at first, merged as patches are, damage refused."""

import pytest
import torch

from polypatch.deltas import ExtraNeurons
from polypatch.errors import ArtefactError, InputError
from polypatch.sites import FeedForwardSite
from polypatch.testing import tiny_model

D = 32


@pytest.fixture(scope="module")
def site():
    return FeedForwardSite(tiny_model("bert")[0])


def learned(site, size=5, seed=0):
    delta, generator = ExtraNeurons(site, size), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in delta.both:
            part.copy_(torch.randn(part.shape, generator=generator))
    return delta


@torch.no_grad()
def test_the_neurons_follow_the_formula(site):
    delta, q = learned(site), torch.randn(7, D, generator=torch.Generator().manual_seed(1))
    keys, values = (part.double() for part in delta.both)
    out = site.ffn(q)
    wanted = out.double() + torch.nn.functional.gelu(q.double() @ keys.T) @ values
    torch.testing.assert_close(delta(q, out).double(), wanted, atol=1e-4, rtol=1e-5)


def test_while_the_values_are_0_the_output_is_the_unedited_one_and_has_a_gradient(site):
    delta, q = ExtraNeurons(site, 5), torch.randn(7, D)
    delta.draw(torch.Generator().manual_seed(0))
    out = site.ffn(q).detach()
    with torch.no_grad():
        assert delta(q, out) is out
    changing = delta(q, out)
    assert torch.equal(changing, out)
    gradients = torch.autograd.grad(changing.square().sum(), list(delta.both))
    assert [bool(gradient.any()) for gradient in gradients] == [False, True]


def test_keys_are_drawn_once(site):
    delta = ExtraNeurons(site, 5)
    delta.draw(torch.Generator().manual_seed(0))
    keys = delta.both[0].detach().clone()
    assert 0.9 * D**-0.5 < float(keys.abs().max()) <= D**-0.5
    with torch.no_grad():
        delta.both[1].fill_(1.0)
    delta.draw(torch.Generator().manual_seed(1))
    assert torch.equal(delta.both[0], keys)


@torch.no_grad()
def test_a_merged_model_has_the_neurons_and_a_gated_one_no_place_for_them(site):
    delta, merged = learned(site), learned(site).merged(site)
    up = merged.get_parameter(f"{site.anatomy.reader}.weight")
    assert torch.equal(up[-5:], delta.both[0])
    assert delta.mergeable
    assert delta.merge_cost(site).patches == 5
    gated = FeedForwardSite(tiny_model("llama")[0])
    other = ExtraNeurons(gated, 5)
    assert not other.mergeable
    for refused in (other.merged, other.merge_cost):
        with pytest.raises(InputError, match="gated or of experts"):
            refused(gated)


def test_as_many_are_loaded_as_there_were(site):
    delta, loaded = learned(site), ExtraNeurons(site)
    loaded.load_tensors(delta.tensors(), [])
    assert all(torch.equal(tensor, loaded.tensors()[name]) for name, tensor in delta.tensors().items())
    with pytest.raises(InputError, match="a: edits in shared neurons"):
        loaded.drop(["a"])


DAMAGED = {
    "missing": ({"values": None}, "shared neurons need the tensors"),
    "none": ({"keys": torch.zeros(0, D), "values": torch.zeros(0, D)}, "keys holds no neuron"),
    "another width": ({"keys": torch.zeros(5, D + 1)}, r"keys should be float32 or float64 \(5, 32\)"),
    "two lengths": ({"values": torch.zeros(4, D)}, r"values should be float32 or float64 \(5, 32\)"),
    "a number": ({"keys": torch.zeros(())}, r"keys should be float32 or float64 \(0, 32\)"),
    "not finite": ({"values": torch.full((5, D), float("nan"))}, "values holds numbers that are not finite"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_tensors_are_refused_and_change_nothing(site, name):
    change, said = DAMAGED[name]
    delta, other = learned(site), learned(site, size=3, seed=1)
    tensors = {key: tensor for key, tensor in {**delta.tensors(), **change}.items() if tensor is not None}
    before = other.tensors()
    for load in (lambda: other.load_tensors(tensors, []), lambda: other.adopt("edit", tensors)):
        with pytest.raises(ArtefactError, match=said):
            load()
    assert all(torch.equal(tensor, before[key]) for key, tensor in other.tensors().items())
