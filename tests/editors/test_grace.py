"""GRACE: the radii after each kind of edit, worked out by hand, and what is written in the codebook."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polypatch import attach, edit_stream
from polypatch.data.memory import MemoryTexts
from polypatch.editors import GRACE, Memory, MemoryRows
from polypatch.editors.grace import SLACK, Deferral, deferral, spread
from polypatch.edits import Edit
from polypatch.errors import InputError
from polypatch.model.rules import Rules
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import AllLanguages
from polypatch.sites import FeedForwardSite, FrozenTail
from polypatch.testing import tiny_edits, tiny_texts
from polypatch.triggers import Trigger


def test_the_radii_by_hand():
    """Initial radius 1; a thousandth of slack."""
    assert deferral(3.1, 2.0, 1.0, agrees=True) == Deferral(2.0, 1.0)  # apart: a new entry
    assert deferral(3.1, 2.0, 1.0, agrees=False) == Deferral(2.0, 1.0)
    assert deferral(2.5, 2.0, 1.0, agrees=True) == Deferral(2.5 * 1.001, None)  # widened
    assert deferral(1.5, 2.0, 1.0, agrees=True) == Deferral(2.0, None)  # covered already
    assert deferral(1.6, 2.0, 1.0, agrees=False) == Deferral(0.8 * 0.999, 0.8 * 0.999)  # split
    assert deferral(2.8, 2.0, 1.0, agrees=False) == Deferral(1.4 * 0.999, 1.0)  # never more than the initial one
    assert deferral(1.2, 0.3, 1.0, agrees=False) == Deferral(0.3, 0.6 * 0.999)  # a split never widens
    assert deferral(0.0, 2.0, 1.0, agrees=False) == Deferral(0.001, 0.001)  # two edits of one query


@given(*[st.floats(1e-3, 1e3)] * 3, st.booleans())
def test_what_holds_of_all_radii(distance, radius, initial, agrees):
    after = deferral(distance, radius, initial, agrees=agrees)
    if after.own is None:
        assert agrees
        assert after.nearest >= max(radius, distance)
    else:
        assert 0 < after.nearest <= radius
        assert 0 < after.own <= initial
        if not agrees and distance <= radius + initial and distance > 2 * SLACK * initial:
            assert after.own < distance / 2
            assert after.nearest < distance / 2 or after.nearest == radius


def memory_of(rows):
    table = MemoryRows([""] * len(rows), rows)
    return Memory(table, MemoryRows([], rows[:0]))


def test_the_unit_is_the_memorys_spread_whatever_the_width():
    """Twice the coordinates, twice the squared distance from the mean; and the mean itself counts for nothing."""
    rows = torch.randn(50, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = float(((rows - rows.mean(0)) ** 2).sum(1).mean() ** 0.5)
    assert spread(memory_of(rows.float())) == pytest.approx(wanted, rel=1e-5)
    assert spread(memory_of(rows.float() + 100.0)) == pytest.approx(wanted, rel=1e-4)
    assert spread(memory_of(rows.float().repeat(1, 2))) == pytest.approx(wanted * 2**0.5, rel=1e-5)


@pytest.mark.parametrize("texts", [[], ["ba"]])
def test_without_a_spread_there_is_no_radius(tiny, texts):
    model, tokenizer = tiny("bert")
    edited = attach(model, tokenizer=tokenizer, recipe=RECIPES["grace"], memory=MemoryTexts(texts, (), {}))
    try:
        with pytest.raises(InputError, match="pass memory="):
            list(edit_stream(edited, tiny_edits(3)))
        assert edited.patches == 0
    finally:
        edited.unload()


def edit_of(name, texts, label):
    return Edit(name, texts, {"en": label}, source="en")


@pytest.fixture
def written(tiny):
    """Edits the tiny model with a codebook; None for each edit's label takes the model's own least likely one."""
    model, tokenizer = tiny("bert")
    held = []

    def make(edits, editor=GRACE(), sampler=AllLanguages()):  # noqa: B008
        recipe = Recipe(editor, sampler, Trigger.ANY)
        held.append(attach(model, tokenizer=tokenizer, recipe=recipe, memory=tiny_texts(40)))
        return held[-1], list(edit_stream(held[-1], edits, rules=Rules(keep_failed=True, allow_contradictions=True)))

    yield make
    for edited in held:
        edited.unload()


def wrong_label(tiny, text):
    model, tokenizer = tiny("bert")
    tail = FrozenTail(FeedForwardSite(model), tokenizer)
    from polypatch.sites import UNCHANGED

    return f"class-{int(tail.logits(tail.readout.rows([text]), UNCHANGED)[0].argmin())}"


def test_an_entry_is_the_texts_own_query_and_its_value_gives_the_class(written, tiny):
    label = wrong_label(tiny, "ba bo")
    edited, (outcome,) = written([edit_of("a", {"en": "ba bo"}, label)])
    assert outcome.success
    assert edited.delta.owners == ["a"]
    assert torch.equal(edited.delta.keys, edited.tail.queries(edited.tail.readout.rows(["ba bo"])).q)
    assert float(edited.delta.radii) == pytest.approx(0.1 * spread(edited.memory), rel=1e-6)
    assert float(edited.probabilities(["ba bo"])[0].max()) >= 0.9
    assert edited.predict("ba bo") == label
    cause, *_ = edited.explain("ba bo").causes
    assert (cause.edit_id, cause.without.label) == ("a", edited.explain("ba bo").unedited.label)
    assert cause.activation == pytest.approx(1.0, abs=1e-3)


def test_a_near_text_of_the_same_class_widens_the_ball_and_needs_no_entry(written, tiny):
    label = wrong_label(tiny, "ba bo ke")
    texts = {"en": "ba bo ke", "de": "ba bo ki"}
    edited, (outcome,) = written([edit_of("a", texts, label)], GRACE(radius=5.0))
    assert outcome.patches == len(edited.delta.owners) == 1
    assert outcome.success
    assert set(edited.predict(list(texts.values()))) == {label}
    # And a ball that is not there yet is widened up to the text.
    distance = float(torch.dist(*edited.tail.queries(edited.tail.readout.rows(list(texts.values()))).q))
    edited.unload()
    radius = 0.6 * distance / spread(edited.memory)
    edited, (outcome,) = written([edit_of("a", texts, label)], GRACE(radius=radius))
    assert outcome.success
    assert outcome.patches == 1
    assert float(edited.delta.radii) == pytest.approx(distance * (1 + SLACK), rel=1e-5)


def test_a_near_text_of_another_class_splits_the_ball(written, tiny):
    first = wrong_label(tiny, "ba bo ke")
    second = next(name for name in ("class-0", "class-1", "class-2") if name != first)
    edits = [edit_of("a", {"en": "ba bo ke"}, first), edit_of("b", {"en": "ba bo ki"}, second)]
    edited, outcomes = written(edits, GRACE(radius=5.0))
    assert [outcome.success for outcome in outcomes] == [True, True]
    distance = float(torch.dist(*edited.tail.queries(edited.tail.readout.rows(["ba bo ke", "ba bo ki"])).q))
    assert edited.delta.radii.tolist() == pytest.approx([distance / 2 * (1 - SLACK)] * 2, rel=1e-5)
    assert edited.predict(["ba bo ke", "ba bo ki"]) == [first, second]
    # Taking the second back gives the first its radius again; the first alone, and nothing is left.
    edited.revert("b")
    assert edited.delta.radii.tolist() == pytest.approx([5.0 * spread(edited.memory)], rel=1e-6)
    edited.revert("a")
    assert edited.patches == 0


def test_a_failed_edit_is_taken_back_with_the_radii_it_changed(written, tiny):
    first = wrong_label(tiny, "ba bo ke")
    second = next(name for name in ("class-0", "class-1", "class-2") if name != first)
    edited, _ = written([edit_of("a", {"en": "ba bo ke"}, first)], GRACE(radius=5.0))
    before = {name: tensor.clone() for name, tensor in edited.delta.tensors().items()}
    hopeless = Recipe(GRACE(radius=5.0, max_steps=0), AllLanguages(), Trigger.ANY)
    edited.recipe = hopeless
    (outcome,) = edit_stream(edited, [edit_of("b", {"en": "ba bo ki"}, second)], rules=Rules())
    assert (outcome.success, outcome.patches) == (False, 0)
    assert "not right after 0 steps" in outcome.reason
    assert all(torch.equal(tensor, before[name]) for name, tensor in edited.delta.tensors().items())


def test_settings_are_plain():
    assert dataclasses.asdict(GRACE()) == {
        "radius": 0.1, "learning_rate": 1.0, "max_steps": 100, "confidence": 0.9,
    }  # fmt: skip


@pytest.mark.parametrize("settings", [{"radius": 0.0}, {"radius": -1.0}, {"radius": float("nan")}, {"confidence": 1.0}])
def test_settings_under_which_nothing_can_hold_are_refused(settings):
    with pytest.raises(ValueError, match=r"above 0"):
        GRACE(**settings)
