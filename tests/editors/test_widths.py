"""Defaults that work: Transformer-Patcher's published settings are for models 768 wide, and these are narrow."""

import dataclasses

import pytest

from polypatch.api import attach, edit_stream
from polypatch.data.memory import MemoryTexts
from polypatch.editors.widths import settings_for
from polypatch.model.rules import Rules
from polypatch.recipes import RECIPES
from polypatch.testing import tiny_edits, tiny_texts

WIDTH = 32
MPN = RECIPES["mpn-all"]
PUBLISHED = dataclasses.replace(MPN, editor=dataclasses.replace(MPN.at(768).editor, max_steps=300))
"""With as many steps as the narrow model's settings have; with 2,000 they take none of them, either."""


TEXTS = tiny_texts(40)
MEMORY = MemoryTexts([text for i, text in enumerate(TEXTS) if i % 5], TEXTS[::5], {})


@pytest.fixture
def took(tiny):
    """How many of the first edits that need a change a recipe takes, and the settings it says it used."""

    def run(recipe, edits):
        model, tokenizer = tiny("xlm-roberta")
        edited = attach(model, tokenizer=tokenizer, recipe=recipe, memory=MEMORY, rules=Rules(seed=0))
        made = [outcome for outcome in edit_stream(edited, tiny_edits(edits)) if outcome.triggered]
        edited.unload()
        return sum(outcome.success for outcome in made), len(made), edited.config["recipe"]["editor"]

    return run


def test_mpn_takes_edits_on_a_narrow_model_where_the_published_settings_take_none(took):
    taken, _, settings = took("mpn-all", 12)
    assert taken >= 4  # 7 or 8 of 10 to 12: which, hangs on the processor
    assert settings.items() >= settings_for(WIDTH).items()
    failed, needed, settings = took(PUBLISHED, 5)
    assert (failed, settings["learning_rate"]) == (0, 1e-2)
    assert needed >= 2


def test_further_edits_by_the_same_name_are_made_the_same_way(tiny):
    model, tokenizer = tiny("bert")
    edited = attach(model, tokenizer=tokenizer, recipe="mpn-all", memory=tiny_texts(20))
    list(edit_stream(edited, tiny_edits(1), recipe="mpn-all"))
    list(edit_stream(edited, tiny_edits(2)[1:], recipe="mpn-all"))  # two recipes would be an InputError
    assert edited.recipe == MPN.at(WIDTH)
    edited.unload()
