"""CaliNet: neurons that begin as the base model, trained until right; its optional term; a mutant a law catches."""

import dataclasses

import pytest
import torch

from polypatch import attach, edit_stream
from polypatch.deltas import ExtraNeurons
from polypatch.editors import CaliNet, Lesson, Memory, MemoryRows
from polypatch.editors.kept_by import kept_by
from polypatch.editors.losses import kl_to_original
from polypatch.recipes import Recipe
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail
from polypatch.testing import check_editor, tiny_edits, tiny_texts


@pytest.fixture
def tail(tiny):
    model, tokenizer = tiny("bert")
    return FrozenTail(FeedForwardSite(model), tokenizer)


def memory_of(tail, texts):
    rows = tail.readout.rows(texts)
    return Memory(MemoryRows(rows, tail.queries(rows).q), MemoryRows([], torch.empty(0, 32)))


def test_each_edit_is_right_when_it_was_made_and_only_the_neurons_change(tiny):
    model, tokenizer = tiny("bert")
    edited = attach(model, tokenizer=tokenizer, recipe="calinet", memory=tiny_texts(20))
    try:
        for outcome in edit_stream(edited, tiny_edits(3)):
            assert outcome.success
            assert outcome.patches == 0
        assert {name: len(tensor) for name, tensor in edited.delta.tensors().items()} == {"keys": 64, "values": 64}
        assert edited.delta.tensors()["values"].any()
    finally:
        edited.unload()


def test_the_term_on_the_memory_is_the_kl_of_all_of_it(tail):
    """Where all rows are drawn, nothing is left to chance."""
    memory = memory_of(tail, tiny_texts(6))
    lesson = Lesson("a", [], [], list, torch.Generator().manual_seed(0))
    delta = ExtraNeurons(tail.site, 4)
    assert kept_by(CaliNet(), delta, lesson, tail, memory) is None
    term = kept_by(CaliNet(kl_weight=2.0), delta, lesson, tail, memory)
    assert float(term().detach()) == pytest.approx(0.0, abs=1e-7)
    with torch.no_grad():
        for part in delta.both:
            part.copy_(torch.randn(part.shape, generator=torch.Generator().manual_seed(1)))
    original, now = (tail.logits(memory.train.asked, change) for change in (UNCHANGED, delta))
    found = float(term().detach())
    assert found == pytest.approx(2.0 * float(kl_to_original(original, now)), rel=1e-4)
    assert found > 0.01


def test_the_term_keeps_the_memory(tiny):
    model, tokenizer = tiny("bert")
    moved = []
    for weight in (0.0, 100.0):
        recipe = Recipe(CaliNet(kl_weight=weight))
        edited = attach(model, tokenizer=tokenizer, recipe=recipe, memory=tiny_texts(60))
        list(edit_stream(edited, tiny_edits(3)))
        rows = edited.memory.train.asked
        with torch.no_grad():
            said = (edited.tail.logits(rows, change) for change in (UNCHANGED, edited.delta))
            moved.append(float(kl_to_original(*said)))
        edited.unload()
    assert moved[1] < 0.5 * moved[0]


class Random(ExtraNeurons):
    """Begins with values that are not 0: it is not the base model."""

    def __init__(self, site, size=1):
        super().__init__(site, size)
        with torch.no_grad():
            for part in self.both:
                part.copy_(torch.linspace(-1, 1, part.numel()).view_as(part))


class Noisy(CaliNet):
    def start(self, site):
        return Random(site, self.size)


def test_neurons_that_add_something_at_first_break_a_law(tiny):
    model, tokenizer = tiny("bert")
    with pytest.raises(AssertionError, match="no edit ≡ base"):
        check_editor(Recipe(Noisy()), model, tokenizer, tiny_edits(3), tiny_texts(20))


def test_settings_are_plain():
    assert dataclasses.asdict(CaliNet()) == {
        "size": 64, "learning_rate": 1e-3, "max_steps": 2000, "kl_weight": 0.0, "kl_rows": 128,
    }  # fmt: skip
