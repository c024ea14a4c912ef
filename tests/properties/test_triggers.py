"""Triggers: which examples decide, and that one wrong answer among them is enough."""

import random

from hypothesis import given
from hypothesis import strategies as st

from polypatch.samplers import SourcePlusRandom
from polypatch.triggers import Trigger
from properties.strategies import edits


@given(edits(), st.integers())
def test_which_examples_decide(edit, seed):
    """SOURCE: one. SAMPLED: what was drawn. ANY: every language of the edit. ALWAYS: none is looked at."""
    sampled = SourcePlusRandom(k=2)(edit, random.Random(seed))
    asked = {trigger: [e.lang for e in trigger.examples(edit, sampled)] for trigger in Trigger}
    assert asked == {
        Trigger.SOURCE: [edit.source],
        Trigger.SAMPLED: [e.lang for e in sampled],
        Trigger.ANY: list(edit.languages),
        Trigger.ALWAYS: [],
    }
    assert all(e == edit.example(e.lang) for trigger in Trigger for e in trigger.examples(edit, sampled))


@given(st.lists(st.booleans(), max_size=6))
def test_one_wrong_answer_fires(right):
    for trigger in (Trigger.SOURCE, Trigger.SAMPLED, Trigger.ANY):
        assert trigger.fires(right) == (False in right)
    assert Trigger.ALWAYS.fires(right)
