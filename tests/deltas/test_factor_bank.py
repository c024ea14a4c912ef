"""FactorBank: the sums against the formula in float64, terms that come and go, and damaged tensors refused."""

import pytest
import torch

from polypatch.deltas import FactorBank
from polypatch.errors import ArtefactError, InputError
from polypatch.sites import FeedForwardSite
from polypatch.testing import tiny_model
from polypatch.testing.tiny import FAMILIES


@pytest.fixture(params=[*FAMILIES, "gpt2", "llama"])
def site(request):
    kind = ("causal",) if request.param in ("gpt2", "llama") else ()
    return FeedForwardSite(tiny_model(request.param, *kind)[0])


def terms(bank, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        one.name: tuple(0.2 * torch.randn(count, size, generator=generator) for size in (one.out, one.given))
        for one in bank.maps.values()
    }


def filled(site, scope="ffn"):
    bank = FactorBank(site, scope)
    bank.extend("first", terms(bank, 2))
    bank.extend("second", terms(bank, 1, seed=1))
    return bank


@pytest.mark.parametrize("scope", ["writer", "ffn"])
@torch.no_grad()
def test_the_sums_are_the_formulas(site, scope):
    bank, own = filled(site, scope), site.matrices("ffn")
    assert bank.owners == ["first", "first", "second"]
    assert len(bank.maps) == (1 if scope == "writer" else len(own))
    for one in bank.maps.values():
        left, right = (bank.get_buffer(one.name + side).double() for side in ("_left", "_right"))
        product = sum(torch.outer(left[i], right[i]) for i in range(3))
        wanted = own[one.weight].double() + one.as_kept(product)
        torch.testing.assert_close(bank.weights()[one.weight].double(), wanted, atol=1e-5, rtol=1e-5)
        assert torch.equal(bank.merged(site).get_parameter(one.weight), bank.weights()[one.weight])
    q = torch.randn(4, site.hidden_size, generator=torch.Generator().manual_seed(2)).to(site.dtype)
    out = site.ffn(q)
    assert torch.equal(bank(q, out), site.layer.ffn_with(q, bank.weights()))
    assert float((bank(q, out) - out).abs().max()) > 0.01


@torch.no_grad()
def test_what_was_taken_back_leaves_no_bit(site):
    bank, q = filled(site), torch.randn(4, site.hidden_size).to(site.dtype)
    out, both = site.ffn(q), bank.weights()
    bank.drop(["second"])
    alone = FactorBank(site, "ffn")
    alone.extend("first", terms(alone, 2))
    assert all(torch.equal(bank.weights()[name], weight) for name, weight in alone.weights().items())
    bank.extend("second", terms(bank, 1, seed=1))
    assert all(torch.equal(bank.weights()[name], weight) for name, weight in both.items())
    bank.drop(["first", "second"])
    assert bank(q, out) is out


def test_a_bank_without_its_model_reads_and_cuts_and_computes_nothing(site):
    bank, alone = filled(site), FactorBank(None, dtype=site.dtype)
    alone.load_tensors(bank.tensors(), bank.owners)
    alone.drop(["first"])
    bank.drop(["first"])
    assert alone.owners == bank.owners
    assert all(torch.equal(tensor, bank.tensors()[name]) for name, tensor in alone.tensors().items())
    with pytest.raises(InputError, match="without their model"):
        alone(torch.zeros(1, site.hidden_size), torch.zeros(1, site.hidden_size))
    again = FactorBank(None, dtype=site.dtype)
    for owner in ("one", "two"):
        again.adopt(owner, filled(site).since(2))
    assert again.owners == ["one", "two"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda tensors: tensors.popitem(), "factors need the tensors"),
        (lambda tensors: tensors.update(extra=torch.zeros(3)), "factors need the tensors"),
        (lambda tensors: tensors.update({"down_left": torch.zeros(2, 32)}), "down_left should be"),
        (lambda tensors: tensors["down_right"].fill_(torch.nan), "not finite"),
    ],
)
@pytest.mark.parametrize("with_model", [True, False])
def test_damaged_tensors_are_refused(damage, says, with_model):
    site = FeedForwardSite(tiny_model("bert")[0])
    bank = filled(site)
    tensors = {name: tensor.clone() for name, tensor in bank.tensors().items()}
    damage(tensors)
    other = FactorBank(site if with_model else None, "ffn")
    with pytest.raises(ArtefactError, match=says):
        other.load_tensors(tensors, bank.owners)
    assert not other.owners
