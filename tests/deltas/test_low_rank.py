"""LowRankDelta: the product against the formula in float64, and damaged tensors refused."""

import importlib.util

import pytest
import torch

from polypatch.deltas import LowRankDelta, WeightDelta
from polypatch.editors import Lesson, LoRA, Memory, MemoryRows
from polypatch.errors import ArtefactError, InputError, UnsupportedModelError
from polypatch.sites import FeedForwardSite, FrozenTail
from polypatch.testing import tiny_model
from polypatch.testing.tiny import FAMILIES

D, W = 32, 64


@pytest.fixture(params=FAMILIES)
def site(request):
    return FeedForwardSite(tiny_model(request.param)[0])


def learned(site, rank=3, alpha=2.0, seed=0):
    """An adapter with random factors."""
    delta, generator = LowRankDelta(site, rank, alpha), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for factor in delta.factors:
            factor.copy_(0.3 * torch.randn(factor.shape, generator=generator))
    return delta


def reference(site, delta, q):
    """(W₂ + s B₂A₂) act((W₁ + s B₁A₁) q + b₁) + b₂ in float64."""
    a1, b1, a2, b2 = (factor.detach().double() for factor in delta.factors)
    up, down = (
        (module.weight.detach().double(), module.bias.detach().double())
        for module in (site.layer.reader, site.layer.writer)
    )
    scale = 2.0 / 3.0
    inner = site.layer.activation((up[0] + scale * b1 @ a1) @ q.double().T + up[1].unsqueeze(1))
    return ((down[0] + scale * b2 @ a2) @ inner + down[1].unsqueeze(1)).T


@torch.no_grad()
def test_the_product_is_the_formulas(site):
    delta, q = learned(site), torch.randn(7, D, generator=torch.Generator().manual_seed(1))
    out = site.ffn(q)
    assert [tuple(factor.shape) for factor in delta.factors] == [(3, D), (W, 3), (3, W), (D, 3)]
    torch.testing.assert_close(delta(q, out).double(), reference(site, delta, q), atol=1e-4, rtol=1e-4)
    assert float((delta(q, out) - out).abs().max()) > 0.1


@torch.no_grad()
def test_a_merged_model_has_the_sums(site):
    delta = learned(site)
    merged = delta.merged(site)
    for (name, weight), (a, b) in zip(site.matrices("ffn").items(), ((0, 1), (2, 3)), strict=True):
        product = delta.factors[b].double() @ delta.factors[a].double()
        wanted = weight.double() + 2.0 / 3.0 * product
        torch.testing.assert_close(merged.get_parameter(name).double(), wanted, atol=1e-5, rtol=1e-5)
    assert delta.merge_cost(site).parameters == 0


def test_nothing_learned_is_the_very_same_output_and_has_a_gradient():
    site = FeedForwardSite(tiny_model("bert")[0])
    delta, q = LowRankDelta(site, 3, 2.0), torch.randn(7, D)
    out = site.ffn(q).detach()
    delta.draw(torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert delta(q, out) is out
    changing = delta(q, out)
    assert torch.equal(changing, out)
    gradients = torch.autograd.grad(changing.square().sum(), list(delta.factors))
    assert [bool(gradient.any()) for gradient in gradients] == [False, True, False, True]


def test_factors_are_drawn_as_peft_draws_them_and_once():
    """kaiming_uniform with a = √5 is uniform in ±1 ÷ √(inputs)."""
    site = FeedForwardSite(tiny_model("bert", hidden=128)[0])
    delta = LowRankDelta(site, 64, 64.0)
    delta.draw(torch.Generator().manual_seed(0))
    for a in (delta.factors[0].detach(), delta.factors[2].detach()):
        bound = a.shape[1] ** -0.5
        theirs = torch.nn.init.kaiming_uniform_(torch.empty(a.shape), a=5**0.5)
        assert float(a.abs().max()) == pytest.approx(bound, rel=0.01)
        assert float(theirs.abs().max()) == pytest.approx(bound, rel=0.01)
        assert float(a.std()) == pytest.approx(bound / 3**0.5, rel=0.05)
    with torch.no_grad():
        delta.factors[1].fill_(1.0)
    before = delta.snapshot()
    delta.draw(torch.Generator().manual_seed(1))
    assert all(torch.equal(*pair) for pair in zip(before, delta.factors, strict=True))


def test_the_callers_random_state_and_the_models_flags_stay():
    model, _ = tiny_model("bert")
    flags = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    state = torch.get_rng_state()
    delta = LowRankDelta(FeedForwardSite(model), 3, 2.0)
    assert torch.equal(state, torch.get_rng_state())
    assert flags == {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert [name for name, _ in delta.named_parameters()] == [f"factors.{i}" for i in range(4)]


def test_a_loaded_adapter_has_the_rank_and_scale_it_was_saved_with():
    site = FeedForwardSite(tiny_model("bert")[0])
    delta, loaded = learned(site), LowRankDelta(site)
    loaded.load_tensors(delta.tensors(), [])
    assert (loaded.rank, loaded.scale) == (3, delta.scale)
    assert all(torch.equal(tensor, loaded.tensors()[name]) for name, tensor in delta.tensors().items())
    q = torch.randn(4, D)
    assert torch.equal(delta(q, site.ffn(q)), loaded(q, site.ffn(q)))


NAN = float("nan")
DAMAGED = {
    "missing": ({"up_b": None}, "an adapter needs the tensors"),
    "one more": ({"bias": torch.zeros(2)}, "an adapter needs the tensors"),
    "no rank": ({"up_a": torch.zeros(0, D)}, "rank from 1 to 32, has 0"),
    "a number for a matrix": ({"up_a": torch.zeros(())}, "rank from 1 to 32, has 0"),
    "more rank than width": ({"up_a": torch.zeros(D + 1, D)}, "rank from 1 to 32, has 33"),
    "two ranks": ({"up_a": torch.zeros(2, D)}, r"up_b should be float32 or float64 \(64, 2\)"),
    "another width": ({"down_b": torch.zeros(D + 1, 3)}, r"down_b should be float32 or float64 \(32, 3\)"),
    "half precision": ({"down_a": torch.zeros(3, W).half()}, "down_a should be float32"),
    "not finite": ({"down_a": torch.full((3, W), NAN)}, "down_a holds numbers that are not finite"),
    "no scale": ({"scale": torch.tensor(NAN)}, "scale holds numbers that are not finite"),
    "two scales": ({"scale": torch.ones(2)}, r"scale should be float32 or float64 \(\)"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_tensors_are_refused_and_change_nothing(name):
    change, said = DAMAGED[name]
    site = FeedForwardSite(tiny_model("bert")[0])
    delta, other = learned(site), learned(site, rank=5, seed=1)
    tensors = {key: tensor for key, tensor in {**delta.tensors(), **change}.items() if tensor is not None}
    before = other.tensors()
    for load in (lambda: other.load_tensors(tensors, []), lambda: other.adopt("edit", tensors)):
        with pytest.raises(ArtefactError, match=said):
            load()
    assert all(torch.equal(tensor, before[key]) for key, tensor in other.tensors().items())


@pytest.mark.parametrize("rank", [0, -1, D + 1])
def test_a_rank_that_no_matrix_has(rank):
    with pytest.raises(InputError, match=f"rank {rank}: it should be from 1 to the model's width, 32"):
        LowRankDelta(FeedForwardSite(tiny_model("bert")[0]), rank)


def test_without_peft_the_extra_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "peft" else found(name, *rest))
    with pytest.raises(InputError, match=r"low-rank editing needs peft: pip install 'polypatch\[lora\]'"):
        LoRA().start(FeedForwardSite(tiny_model("bert")[0]))


def test_shared_matrices_cannot_be_cut_out_and_other_deltas_are_refused():
    model, tokenizer = tiny_model("bert")
    site = FeedForwardSite(model)
    with pytest.raises(InputError, match=r"a, b: edits in one adapter share"):
        LowRankDelta(site).drop(["b", "a"])
    lesson = Lesson("a", ["ba"], [0], lambda: [0], torch.Generator())
    empty = MemoryRows([], torch.empty(0, D))
    with pytest.raises(UnsupportedModelError, match="LoRA grows a LowRankDelta, not a WeightDelta"):
        LoRA().learn(WeightDelta(site), lesson, FrozenTail(site, tokenizer), Memory(empty, empty))
