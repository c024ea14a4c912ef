"""MEMOIR: the metric by hand, what is trained and what is reached, and mutants that laws and invariants catch."""

import dataclasses

import pytest
import torch

from polypatch import attach, edit_stream
from polypatch.deltas import ResidualMemory
from polypatch.editors import MEMOIR
from polypatch.editors.metric import metric
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import AllLanguages
from polypatch.testing import check_editor, tiny_edits, tiny_texts
from polypatch.triggers import Trigger


def test_the_metric_by_hand():
    """One input (1, 2), three times, ρ = 2: the inverse of [[5, 6], [6, 14]], whose determinant is 34."""
    found = metric(torch.tensor([[1.0, 2.0]]), torch.tensor([3]), 2.0)
    wanted = torch.tensor([[14.0, -6.0], [-6.0, 5.0]], dtype=torch.float64) / 34
    torch.testing.assert_close(found, wanted)


@pytest.fixture
def edited(tiny):
    model, tokenizer = tiny("bert")
    held = attach(model, tokenizer=tokenizer, recipe=RECIPES["memoir"], memory=tiny_texts(60))
    yield held
    held.unload()


def test_one_edit_moves_the_columns_that_it_marks_and_no_others(edited):
    list(edit_stream(edited, tiny_edits(1)))
    (mask,) = edited.delta.masks.tolist()
    moved = edited.delta.memory.detach().any(0).nonzero().flatten().tolist()
    assert moved
    assert set(moved) <= set(mask)
    assert len(mask) == round(0.29 * 64)


def test_of_the_memory_a_mask_reaches_at_most_a_row_and_the_rest_is_unedited_to_the_bit(edited):
    outcomes = list(edit_stream(edited, tiny_edits(3)))
    assert all(outcome.success for outcome in outcomes)
    delta, tail = edited.delta, edited.tail
    q = edited.memory.train.first().rows
    with torch.no_grad():
        out = tail.site.ffn(q)
        assert int((delta(q, out) != out).any(1).sum()) <= len(delta.masks)
    assert bool(((delta.overlaps >= 0.4) & (delta.overlaps <= 1)).all())


def unrouted(delta, q):
    """What is remembered more by a query's own mask, however far from all edits it is."""
    k = delta.written_from(q)
    return delta.adds(delta.masked(k, delta.mask_of(k)))


def test_a_later_edit_hardly_moves_an_earlier_one(tiny):
    model, tokenizer = tiny("bert")
    first, *_, last = tiny_edits(4)
    moved = []
    for copies in (0, 1):
        recipe = Recipe(MEMOIR(memory_copies=copies, share=0.9))
        edited = attach(model, tokenizer=tokenizer, recipe=recipe, memory=tiny_texts(60))
        list(edit_stream(edited, [first]))
        q = edited.tail.queries(edited.tail.readout.rows([first.prompt["en"]])).q
        before = unrouted(edited.delta, q).detach()
        list(edit_stream(edited, [last]))
        after = unrouted(edited.delta, q).detach()
        moved.append(float((after - before).norm() / before.norm()))
        edited.unload()
    assert moved[1] < 0.02
    assert moved[1] < 0.1 * moved[0]


class Unsnapped(ResidualMemory):
    """Takes R back, and not the masks."""

    def restore(self, snapshot):
        super().restore({**self.snapshot(), "memory": snapshot["memory"]})


class Reaching(ResidualMemory):
    """Looks no mask up."""

    def forward(self, q, out):
        return out + unrouted(self, q)


class Forgetful(MEMOIR):
    """Starts with the first of these."""

    def start(self, site):
        return Unsnapped(site, self.share)


class Unrouted(MEMOIR):
    """And with the second."""

    def start(self, site):
        return Reaching(site, self.share)


def test_masks_that_are_not_taken_back_break_a_law(tiny):
    model, tokenizer = tiny("bert")
    recipe = Recipe(Forgetful(), AllLanguages(), Trigger.ANY)
    with pytest.raises(AssertionError, match=r"save → load|reverting the last ≡ never made|reverting all"):
        check_editor(recipe, model, tokenizer, tiny_edits(3), tiny_texts(20))


def test_without_masks_to_look_up_the_memory_is_moved(tiny):
    model, tokenizer = tiny("bert")
    edited = attach(model, tokenizer=tokenizer, recipe=Recipe(Unrouted()), memory=tiny_texts(60))
    list(edit_stream(edited, tiny_edits(3)))
    q = edited.memory.train.first().rows
    with torch.no_grad():
        out = edited.tail.site.ffn(q)
        moved = (edited.delta(q, out) != out).any(1)
    edited.unload()
    assert moved.float().mean() > 0.9


def test_settings_are_plain():
    assert dataclasses.asdict(MEMOIR()) == {
        "share": 0.29, "overlap": 0.4, "reached": 0.001, "learning_rate": 1.0, "max_steps": 30, "confidence": 0.9,
        "ridge": 1e-3, "known_rows": 2048, "memory_copies": 1,
    }  # fmt: skip
