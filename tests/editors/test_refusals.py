"""What several editors refuse alike: a delta that another grows, and a memory that they need and that is empty."""

import pytest
import torch

from polypatch import attach, edit_stream
from polypatch.data.memory import MemoryTexts
from polypatch.deltas import PatchBank
from polypatch.editors import GRACE, MELO, MEMOIR, WISE, CaliNet, Lesson
from polypatch.errors import InputError, UnsupportedModelError
from polypatch.recipes import RECIPES
from polypatch.sites import FeedForwardSite, FrozenTail
from polypatch.testing import tiny_edits

GROWN = {GRACE: "Codebook", MELO: "BlockBook", CaliNet: "ExtraNeurons", WISE: "SideMemory", MEMOIR: "ResidualMemory"}


@pytest.mark.parametrize(("editor", "grown"), GROWN.items())
def test_a_delta_of_another_kind_is_refused(tiny, editor, grown):
    model, tokenizer = tiny("bert")
    tail = FrozenTail(FeedForwardSite(model), tokenizer)
    lesson = Lesson("a", [], [], list, torch.Generator())
    with pytest.raises(UnsupportedModelError, match=f"{editor.__name__} grows a {grown}, not a PatchBank"):
        editor().learn(PatchBank(32), lesson, tail, None)


@pytest.mark.parametrize("name", ["melo", "wise", "memoir"])
def test_without_a_memory_there_is_nothing_to_measure_by(tiny, name):
    model, tokenizer = tiny("bert")
    edited = attach(model, tokenizer=tokenizer, recipe=RECIPES[name], memory=MemoryTexts())
    try:
        with pytest.raises(InputError, match="pass memory="):
            list(edit_stream(edited, tiny_edits(3)))
    finally:
        edited.unload()
