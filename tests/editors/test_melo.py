"""MELO: what becomes of clusters after each kind of edit, by hand; and mutants that laws and invariants catch."""

import dataclasses

import pytest
import torch

from polypatch import attach, edit_stream
from polypatch.deltas import BlockBook
from polypatch.editors import MELO
from polypatch.editors.grace import SLACK, spread
from polypatch.editors.melo import place
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import AllLanguages
from polypatch.sites import FeedForwardSite
from polypatch.testing import check_editor, tiny_edits, tiny_model, tiny_texts
from polypatch.triggers import Trigger


@pytest.fixture
def book():
    return BlockBook(FeedForwardSite(tiny_model("bert")[0]), 2)


def put(book, *points, initial=1.0):
    """Points as (first coordinate, id), each with a block of its own."""
    for i, (x, label) in enumerate(points):
        key = torch.zeros(32)
        key[0] = x
        block = {n: (torch.zeros(2, one.given), torch.zeros(one.out, 2)) for n, one in book.maps.items()}
        place(book, f"edit-{i}", key, label, book.add_block(block), initial)


def test_a_far_point_begins_a_cluster(book):
    put(book, (0, 1), (2.1, 1), (5, 2))
    assert book.clusters.tolist() == [0, 1, 2]
    assert book.radii.tolist() == [1.0, 1.0, 1.0]
    assert book.classes.tolist() == [1, 1, 2]
    assert book.blocks.tolist() == [0, 1, 2]


def test_a_near_point_of_the_same_id_joins_and_the_centre_is_the_mean(book):
    """Points at 0 and 1.5, centre 0.75: the radius stays 1. Then one at 2.7, 1.95 away: centre 1.4, radius 1.4."""
    put(book, (0, 1), (1.5, 1))
    assert book.clusters.tolist() == [0, 0]
    assert book.nearest(torch.zeros(32)) == (0, pytest.approx(0.75))
    assert book.radii.tolist() == [1.0]
    put(book, (2.7, 1))
    assert book.nearest(torch.zeros(32)) == (0, pytest.approx(1.4))
    assert book.radii.tolist() == pytest.approx([1.4 * (1 + SLACK)])
    assert book.kept.tolist() == [1, 1, 1]


def test_a_near_point_of_another_id_splits_and_pushes_out(book):
    """Centre 0.75; one at 1.35 is 0.6 away, both get just below 0.3, and the points at 0 and 1.5 lie outside."""
    put(book, (0, 1), (1.5, 1), (1.35, 2))
    assert book.clusters.tolist() == [0, 0, 1]
    assert book.radii.tolist() == pytest.approx([0.3 * (1 - SLACK)] * 2)
    assert book.kept.tolist() == [0, 0, 1]


@pytest.fixture
def edited(tiny):
    model, tokenizer = tiny("bert")
    held = attach(model, tokenizer=tokenizer, recipe=RECIPES["melo-mpn"], memory=tiny_texts(60))
    yield held
    held.unload()


def test_edits_hold_and_outside_of_all_clusters_the_output_is_the_unedited_one(edited):
    outcomes = list(edit_stream(edited, tiny_edits(3)))
    assert all(outcome.success for outcome in outcomes)
    assert edited.patches == len(edited.delta.owners) == sum(outcome.patches for outcome in outcomes)
    assert float(edited.delta.radii.max()) == pytest.approx(0.1 * spread(edited.memory), rel=1e-5)
    book, q = edited.delta, edited.memory.train.first().rows
    with torch.no_grad():
        out = edited.tail.site.ffn(q)
        changed, active = (book(q, out) != out).any(1), book.activations(q).any(1)
        own = book(book.keys, edited.tail.site.ffn(book.keys)) != edited.tail.site.ffn(book.keys)
    assert own.any(1).all()
    assert not changed[~active].any()
    assert active.float().mean() < 0.2


def test_taking_one_back_gives_the_others_their_radii_again(edited):
    """Splits are undone: deleting an edit restores the earlier output."""
    first, second = tiny_edits(2)
    second = dataclasses.replace(second, prompt={**first.prompt, "en": first.prompt["en"] + " ba"})
    edited.recipe = Recipe(MELO(radius=50.0), AllLanguages(), Trigger.ANY)
    list(edit_stream(edited, [first]))
    before = {name: tensor.clone() for name, tensor in edited.delta.tensors().items()}
    other = next(label for label in ("class-0", "class-1", "class-2") if label != first.target["en"])
    conflicting = dataclasses.replace(second, target=dict.fromkeys(second.languages, other))
    from polypatch.model.rules import Rules

    list(edit_stream(edited, [conflicting], rules=Rules(keep_failed=True, allow_contradictions=True)))
    assert float(edited.delta.radii[0]) < float(before["radii"][0])
    edited.revert(conflicting.id)
    assert all(torch.equal(tensor, before[name]) for name, tensor in edited.delta.tensors().items())


class LosesRadii(BlockBook):
    """Writes a journal without what an edit changed of others: it widens a cluster in memory alone."""

    def since(self, patches):
        left = super().since(patches)
        return {**left, "radii": torch.full_like(left["radii"], 1e-3)}


class Widened(MELO):
    def start(self, site):
        return LosesRadii(site, self.rank)


class Draws(MELO):
    """Its blocks begin at numbers from outside of the edit."""

    def _drawn(self, book, generator):
        del generator
        return super()._drawn(book, torch.default_generator)


@pytest.mark.parametrize(("editor", "law"), [(Widened(), "interrupted and resumed"), (Draws(), "global random state")])
def test_what_is_wrong_breaks_a_law(tiny, editor, law):
    model, tokenizer = tiny("bert")
    with pytest.raises(AssertionError, match=law):
        check_editor(Recipe(editor, AllLanguages(), Trigger.ANY), model, tokenizer, tiny_edits(3), tiny_texts(20))


def test_settings_are_plain():
    assert dataclasses.asdict(MELO()) == {
        "radius": 0.1, "rank": 2, "learning_rate": 1e-2, "max_steps": 50, "halve_every": 20, "confidence": 0.9,
    }  # fmt: skip
    with pytest.raises(ValueError, match="covers nothing"):
        MELO(radius=0.0)
