"""The maps of a feed-forward layer: what passes through them, and that a gradient of theirs is the matrix's."""

import pytest
import torch

from polypatch.errors import UnsupportedModelError
from polypatch.sites import FeedForwardSite
from polypatch.sites.layers.linear_maps import last_map, layer_pass, linear_maps
from polypatch.testing import tiny_model
from polypatch.testing.tiny import FAMILIES

GATED = {"gate_proj", "up_proj", "down_proj"}


@pytest.fixture(params=[*FAMILIES, "gpt2", "llama"])
def layer(request):
    kind = ("causal",) if request.param in ("gpt2", "llama") else ()
    return FeedForwardSite(tiny_model(request.param, *kind)[0]).layer


def queries(layer):
    weight = layer.writer.weight if layer.plain else next(layer.writer.parameters())
    return torch.randn(5, layer.hidden_size, generator=torch.Generator().manual_seed(0)).to(weight)


def test_the_pass_is_the_layers(layer):
    q = queries(layer)
    with torch.no_grad():
        seen = layer_pass(layer, q)
        torch.testing.assert_close(seen.out, layer.ffn(q))
    maps = linear_maps(layer)
    assert set(maps) == set(seen.given) == set(seen.gave)
    assert set(maps) == ({"up", "down"} if layer.plain else GATED)
    for name, one in maps.items():
        assert seen.given[name].shape == (5, one.given)
        assert seen.gave[name].reshape(5, -1).shape == (5, one.out)
    assert last_map(layer).name in ("down", "down_proj")
    hooks = [module for module in layer.model.modules() if module._forward_hooks or module._forward_pre_hooks]
    assert not hooks, "the model has none"


def test_a_gradient_by_what_a_map_gave_is_the_gradient_of_its_matrix(layer):
    """grad W = Σ g kᵀ, k being what it was given; the matrices are another's, so that both are looked at."""
    q, maps, own = queries(layer), linear_maps(layer), layer.matrices("ffn")
    weights = {one.weight: (1.5 * own[one.weight].detach()).requires_grad_() for one in maps.values()}
    wanted = torch.autograd.grad(layer_pass(layer, q, weights).out.square().sum(), list(weights.values()))
    seen = layer_pass(layer, q, {name: weight.detach() for name, weight in weights.items()})
    gradients = torch.autograd.grad(seen.out.square().sum(), list(seen.gave.values()))
    found = dict(zip(seen.gave, gradients, strict=True))
    for one, whole in zip(maps.values(), wanted, strict=True):
        product = found[one.name].reshape(5, -1).T @ seen.given[one.name]
        torch.testing.assert_close(one.as_kept(product), whole, atol=1e-4, rtol=1e-4)


def test_a_layer_of_experts_has_no_matrices_of_its_own():
    layer = FeedForwardSite(tiny_model("mixtral", "causal")[0]).layer
    with pytest.raises(UnsupportedModelError, match="no one matrix; low-rank updates are for layers without experts"):
        linear_maps(layer)
