"""WISE: the margins by hand, what the router asks, and mutants that the laws and invariants catch."""

import dataclasses

import pytest
import torch
from torch import nn

from polypatch import attach, edit_stream
from polypatch.deltas import SideMemory
from polypatch.editors import WISE
from polypatch.editors.asked_at import AddedAt, AskedAt
from polypatch.editors.wise import margin_loss
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import AllLanguages
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail
from polypatch.testing import check_editor, tiny_edits, tiny_texts
from polypatch.triggers import Trigger


def test_the_margins_by_hand():
    """α 1, β 4, γ 2. Pairs: 1.5 − 3 + 2 = .5, the others below 0; out: 1.5 − 1 = .5; in: 4 − 3 = 1."""
    inside, outside = torch.tensor([3.0, 6.0]), torch.tensor([0.5, 1.5])
    assert float(margin_loss(inside, outside, 1.0, 4.0, 2.0)) == pytest.approx(0.5 + 0.5 + 1.0)
    assert float(margin_loss(torch.tensor([5.0]), torch.tensor([1.0]), 1.0, 4.0, 2.0)) == 0.0
    # A mean over what violates, not over all: two pairs, of .5 and 1.5.
    assert float(margin_loss(torch.tensor([3.0]), torch.tensor([1.5, 2.5]), 9.0, 0.0, 2.0)) == pytest.approx(1.0)


@pytest.fixture
def edited(tiny):
    model, tokenizer = tiny("bert")
    held = attach(model, tokenizer=tokenizer, recipe=RECIPES["wise"], memory=tiny_texts(60))
    yield held
    held.unload()


def test_the_memory_is_out_of_reach_and_the_edit_is_not(edited):
    """Where no edit is asked for, the output is the unedited one to the bit."""
    outcomes = list(edit_stream(edited, tiny_edits(3)))
    assert all(outcome.success for outcome in outcomes)
    delta, tail = edited.delta, edited.tail
    asked = tail.readout.rows([edit.prompt["en"] for edit, outcome in zip(tiny_edits(3), outcomes, strict=True)
                               if outcome.triggered])  # fmt: skip
    q = torch.cat([tail.queries(asked).q, edited.memory.train.first().rows])
    with torch.no_grad():
        out = tail.site.ffn(q)
        moved = (delta(q, out) != out).any(1)
        far = delta.added(q).norm(dim=1) > delta.threshold
    assert torch.equal(moved, far)
    assert moved[: len(asked)].all()
    assert moved[len(asked) :].float().mean() < 0.2


def test_a_later_edit_hardly_moves_an_earlier_one(edited):
    """P: past edits count a thousand times."""
    first, *_, last = tiny_edits(4)
    list(edit_stream(edited, [first]))
    q = edited.tail.queries(edited.tail.readout.rows([first.prompt["en"]])).q
    before = edited.delta.added(q).detach()
    list(edit_stream(edited, [last]))
    assert float((edited.delta.added(q).detach() - before).norm()) < 0.1 * float(before.norm())


def test_while_it_is_trained_the_side_copy_is_asked_at_the_edits_rows_alone(tiny):
    model, tokenizer = tiny("bert")
    tail = FrozenTail(FeedForwardSite(model), tokenizer)
    delta = SideMemory(tail.site)
    delta.move(torch.ones_like(delta.delta))
    q = tail.queries(tail.readout.rows(tiny_texts(5))).q
    out = tail.site.ffn(q).detach()
    changed = (AskedAt(q[1:3], lambda q, out: out + delta.added(q))(q * (1 + 1e-6), out) != out).any(1)
    assert changed.tolist() == [False, True, True, False, False]
    added = delta.added(q[1:3]).detach()
    assert torch.equal(
        AddedAt(q[1:3], added)(q * (1 + 1e-6), out),
        out + torch.stack([0 * added[0], *added, 0 * added[0], 0 * added[0]]),
    )


class KeepsItsReach(SideMemory):
    """Takes Δ back, and not the threshold."""

    @property
    def shared(self):
        return nn.ParameterList([self.delta])


class AsksEverywhere(SideMemory):
    """Has no router."""

    def forward(self, q, out):
        return out + self.added(q)


class Forgetful(WISE):
    """Starts with the first of these."""

    def start(self, site):
        return KeepsItsReach(site)


class Unrouted(WISE):
    """And with the second."""

    def start(self, site):
        return AsksEverywhere(site)


def test_a_threshold_that_is_not_taken_back_breaks_a_law(tiny):
    model, tokenizer = tiny("bert")
    recipe = Recipe(Forgetful(max_steps=20), AllLanguages(), Trigger.ANY)
    with pytest.raises(AssertionError, match=r"reverting the last ≡ never made|reverting all"):
        check_editor(recipe, model, tokenizer, tiny_edits(3), tiny_texts(20))


def test_without_a_router_the_memory_is_moved(tiny):
    model, tokenizer = tiny("bert")
    recipe = Recipe(Unrouted())
    edited = attach(model, tokenizer=tokenizer, recipe=recipe, memory=tiny_texts(60))
    list(edit_stream(edited, tiny_edits(3)))
    rows = edited.memory.train.first().asked
    moved = edited.tail.logits(rows, edited.delta) != edited.tail.logits(rows, UNCHANGED)
    edited.unload()
    assert moved.any(1).float().mean() > 0.9


def test_settings_are_plain():
    assert dataclasses.asdict(WISE()) == {
        "alpha": 0.5, "beta": 2.0, "gamma": 1.0, "learning_rate": 0.3, "max_steps": 70, "confidence": 0.9,
        "ratio": 0.88, "ridge": 0.03, "known_rows": 2048, "apart_rows": 256, "memory_copies": 1000,
    }  # fmt: skip
    with pytest.raises(ValueError, match="above 0 and below 1"):
        WISE(ratio=1.0)
