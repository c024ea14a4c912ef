"""A function played back gives its own bits, or is left as it is."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from polypatch.sites import FeedForwardSite
from polypatch.sites.layers.record import Record, recorded
from polypatch.testing import tiny_model

EXAMPLE = torch.randn(17, 8, generator=torch.Generator().manual_seed(0))
WEIGHT = nn.Parameter(torch.randn(3, 8, generator=torch.Generator().manual_seed(1)))


def padded(rows):
    """Much that the result does not need, as in a model: masks, a look at numbers, a list of outputs."""
    mask = torch.ones(len(rows), 4)
    if bool(mask.all()):
        mask = None
    outputs = [functional.linear(functional.pad(rows.unsqueeze(1), (0, 0, 0, 3))[:, 0], WEIGHT)]
    return torch.cat([torch.tanh(outputs[-1]), outputs[0]], dim=-1)


def counting(rows):
    """Writes its number of rows down."""
    return functional.linear(rows, WEIGHT)[torch.arange(len(rows)), [0] * len(rows)]


def writing(rows):
    kept = rows.clone()
    kept.mul_(2)
    return kept + 1


def hidden(rows):
    """Its result hangs on a number that is looked at in Python."""
    return rows * float(rows.sum())


def test_what_is_played_back_has_the_bits_and_the_gradient():
    quick = recorded(padded, EXAMPLE)
    assert isinstance(quick, Record)
    assert len(quick.steps) < 8
    for n in (1, 2, 5, 17):
        one, two = (EXAMPLE[:n].clone().requires_grad_() for _ in range(2))
        assert torch.equal(quick(one), padded(two))
        for way, rows in ((quick, one), (padded, two)):
            way(rows).square().sum().backward()
        assert torch.equal(one.grad, two.grad)


def test_weights_are_the_functions_own():
    quick, before = recorded(padded, EXAMPLE), WEIGHT.data
    try:
        WEIGHT.data = before + 1
        assert torch.equal(quick(EXAMPLE), padded(EXAMPLE))
    finally:
        WEIGHT.data = before


@pytest.mark.parametrize("function", [counting, writing, hidden, lambda rows: rows, lambda rows: torch.ones(2)])
def test_what_cannot_be_played_back_is_left_as_it_is(function):
    assert recorded(function, EXAMPLE) is function


@pytest.mark.parametrize(
    ("family", "kind"),
    [*((one, "classifier") for one in ("bert", "roberta", "distilbert", "electra")), ("gemma2", "causal")],
)
def test_a_head_is_played_back(family, kind):
    """Gemma's, too, which casts a weight to the type it has. A copy of the model, or the model once it is in float64,
    has a record of its own."""
    model, _ = tiny_model(family, kind)
    for other in (model, copy.deepcopy(model), copy.deepcopy(model).double()):
        site = FeedForwardSite(other)
        head, rows = site.layer._head, EXAMPLE.repeat(1, 4).to(site.dtype)
        with torch.no_grad(), site.evaluating():
            assert torch.equal(head(rows), head._run(rows))
            assert isinstance(head._quick, Record)
            assert torch.equal(copy.deepcopy(site).layer._head(rows), head(rows))
