"""A query as a function of the residual: held against the model with something added to its attention's output."""

from contextlib import suppress

import pytest
import torch

from polypatch.sites import FeedForwardSite
from polypatch.sites.discovery.probe import probe_of
from polypatch.sites.layers.enough import EnoughSeen
from polypatch.sites.layers.residual_to_query import ResidualToQuery
from polypatch.sites.rows import Queries
from polypatch.testing import tiny_model

ATTENTION = {
    "bert": "bert.encoder.layer.1.attention.output.dense",
    "gpt2": "transformer.h.1.attn.c_proj",
    "llama": "model.layers.1.self_attn.o_proj",
}
"""What writes into the residual before the feed-forward layer of the last of two layers."""


def read(site, module=None, more=None):
    """The layer's query and residual in a pass, with `more` added to what a module gives."""
    model = site.model
    hooks = [] if module is None else [module.register_forward_hook(lambda _, __, out: out + more)]
    try:
        with torch.no_grad(), site.looking() as found, suppress(EnoughSeen):
            model(**probe_of(model).batch(site.device))
    finally:
        for hook in hooks:
            hook.remove()
    return found[0]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_move_of_the_residual_is_a_move_of_what_attention_writes(family):
    site = FeedForwardSite(tiny_model(family, "causal")[0])
    before = read(site)
    more = 0.3 * torch.randn(site.hidden_size, generator=torch.Generator().manual_seed(0))
    after = read(site, site.model.get_submodule(ATTENTION[family]), more)
    q, rest = (part.reshape(-1, site.hidden_size) for part in (before.q, before.rest))
    with torch.no_grad():
        moved = ResidualToQuery(site.layer)(Queries(q, rest), more.expand_as(q))
    torch.testing.assert_close(moved, after.q.reshape(q.shape), atol=1e-5, rtol=1e-4)
    assert float((moved - q).abs().max()) > 0.01


def test_of_a_layer_behind_a_norm_the_residual_is_the_query():
    site = FeedForwardSite(tiny_model("bert")[0])
    q, more = torch.randn(2, 3, site.hidden_size)
    assert torch.equal(ResidualToQuery(site.layer)(Queries(q), more), q + more)


def test_where_attention_and_layer_read_one_input_the_query_stays():
    site = FeedForwardSite(tiny_model("gptj", "causal")[0])
    before = read(site)
    q, rest = (part.reshape(-1, site.hidden_size) for part in (before.q, before.rest))
    with torch.no_grad():
        assert torch.equal(ResidualToQuery(site.layer)(Queries(q, rest), torch.ones_like(q)), q)
