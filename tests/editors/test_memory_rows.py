"""A memory holds what is seen alike once and counts it: nothing is decided otherwise than beside as many copies."""

import dataclasses

import pytest
import torch

from polypatch import Encoding, attach
from polypatch.data.memory import MemoryTexts
from polypatch.editors import Memory, MemoryRows
from polypatch.editors.grace import spread
from polypatch.editors.moments import Moments
from polypatch.editors.placed import Look
from polypatch.errors import InputError
from polypatch.recipes import RECIPES
from polypatch.testing import tiny_texts
from speaking import speaker, speaking_edits

BEGUN = tiny_texts(6)
TEXTS = [*(f"{begun} {end}" for begun in BEGUN[:4] for end in ("ba", "do", "fi gu")), *BEGUN]
WATCHED = [f"{begun} {end}" for begun in tiny_texts(3, seed=5) for end in ("ba", "do")]


def attached(recipe="polypatch-linear", *, chat=False):
    model, tokenizer = speaker("llama", chat=chat)
    memory = MemoryTexts(train=TEXTS, validation=WATCHED, held_out={})
    return attach(model, tokenizer=tokenizer, recipe=recipe, memory=memory, encoding=Encoding(chat=chat))


def copies(edited, texts):
    """The same memory with every position of every text."""
    rows = [row for rows in edited.readout.keep(texts) for row in rows]
    return MemoryRows(rows, edited.tail.queries(rows).q)


@pytest.mark.parametrize("chat", [False, True])
def test_what_many_texts_begin_with_is_one_row_of_a_memory(chat):
    edited = attached(chat=chat)
    train, whole = edited.memory.train, copies(edited, TEXTS)
    assert train.used == len({row.tokens[: row.place + 1] for row in whole.asked}) < len(whole.asked)
    for row, q, count in zip(train.asked, train.rows, train.counts.tolist(), strict=True):
        same = [i for i, one in enumerate(whole.asked) if one.tokens[: one.place + 1] == row.tokens[: row.place + 1]]
        assert len(same) == count
        assert float((whole.rows[same] - q).abs().max()) < 1e-5
    # A prompt that is a whole text of the memory is found there, whatever else begins with it.
    begin = [row for row, begins in zip(train.asked, train.begins.tolist(), strict=True) if begins]
    assert set(edited.readout.rows(TEXTS)) == set(begin) < set(train.asked)


@pytest.mark.parametrize("name", ["polypatch-linear", "t-patcher"])
def test_edits_beside_a_memory_with_counts_are_those_beside_its_copies(name):
    recipe = RECIPES[name]
    if name != "polypatch-linear":
        recipe = dataclasses.replace(recipe, editor=dataclasses.replace(recipe.editor, max_steps=30))
    made = []
    for counted in (True, False):
        edited = attached(recipe)
        if not counted:
            edited.memory = Memory(copies(edited, TEXTS), copies(edited, WATCHED))
        list(edited.stream(speaking_edits(3)))
        made.append((edited.delta.tensors(), [one.patches for one in edited.outcomes.values()]))
        edited.unload()
    (one, patches), (other, beside) = made
    assert patches == beside
    assert sum(patches) > 0
    for part, tensor in one.items():
        torch.testing.assert_close(tensor, other[part], rtol=1e-3, atol=1e-4)


def test_counts_weigh_as_copies_do():
    rows, counts = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 4 + 1
    often = rows.repeat_interleave(counts, 0)
    few, many = MemoryRows([""] * 40, rows, counts), MemoryRows([""] * len(often), often)
    for a, b in zip(Moments(few).of(few), Moments(many).of(many), strict=True):
        torch.testing.assert_close(a, b)
    nothing = MemoryRows([], rows[:0])
    one, other = (Memory(part, nothing) for part in (few, many))
    assert spread(one) == pytest.approx(spread(other), rel=1e-5)
    key = torch.ones(6)
    for allowed in range(12):
        assert float(Look(key, one).loudest(allowed)) == float(Look(key, other).loudest(allowed))
    assert few.first().counts.tolist() == counts.tolist()


@pytest.mark.parametrize("often", range(1, 40))
def test_one_text_over_and_over_has_no_spread(often):
    row, none = torch.randn(1, 64, generator=torch.Generator().manual_seed(often)), MemoryRows([], torch.empty(0, 64))
    for part in (MemoryRows([""], row, torch.tensor([often])), MemoryRows([""] * often, row.repeat(often, 1))):
        with pytest.raises(InputError, match="the spread of the memory"):
            spread(Memory(part, none))
