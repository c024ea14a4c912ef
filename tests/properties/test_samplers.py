"""Samplers: the source first, no repeats, only what the edit has, and the same draw for the same random state."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypatch.edits import Edit
from polypatch.samplers import AllLanguages, OnlyLanguages, SourceOnly, SourcePlusRandom
from properties.strategies import LANGUAGES, edits

samplers = st.one_of(
    st.just(SourceOnly()),
    st.builds(SourcePlusRandom, k=st.integers(1, 8), redraw=st.sampled_from(["per_step", "per_edit"])),
    st.just(AllLanguages()),
    st.builds(OnlyLanguages, st.lists(st.sampled_from(LANGUAGES), max_size=4).map(tuple)),
)


@given(samplers, edits(), st.integers())
def test_every_sampler_keeps_its_contract(sampler, edit, seed):
    """Law: a draw starts with the source, repeats no language, and holds examples of this edit only."""
    drawn = sampler(edit, random.Random(seed))
    assert drawn[0] == edit.example(edit.source)
    assert len({example.lang for example in drawn}) == len(drawn)
    assert all(example == edit.example(example.lang) for example in drawn)
    assert sampler(edit, random.Random(seed)) == drawn


@given(edits(), st.integers(1, 8), st.integers())
def test_source_plus_random_draws_k_others(edit, k, seed):
    drawn = SourcePlusRandom(k=k)(edit, random.Random(seed))
    assert len(drawn) == 1 + min(k, len(edit.languages) - 1)


@given(edits(), st.sets(st.sampled_from(LANGUAGES)), st.integers())
def test_only_allowed_languages_are_drawn(edit, allowed, seed):
    """Languages are cut from the edit, so no sampler can draw another one."""
    for sampler in (SourcePlusRandom(k=3), AllLanguages(), OnlyLanguages(LANGUAGES)):
        assert {e.lang for e in sampler(edit.only(allowed), random.Random(seed))} <= {*allowed, edit.source}


@given(edits(), st.lists(st.sampled_from(LANGUAGES), unique=True))
def test_fixed_languages_come_in_their_order(edit, languages):
    drawn = [e.lang for e in OnlyLanguages(tuple(languages))(edit, random.Random(0))]
    assert drawn[1:] == [lang for lang in languages if lang in edit.prompt and lang != edit.source]
    assert [e.lang for e in AllLanguages()(edit, random.Random(0))] == list(edit.languages)


def test_a_language_listed_twice_is_drawn_once():
    edit = Edit("e", {"en": "a", "de": "b"}, {"en": "x"})
    assert [e.lang for e in OnlyLanguages(("de", "de"))(edit, random.Random(0))] == ["en", "de"]


def test_every_other_language_is_drawn_equally_often():
    """Uniform: 4,000 draws of one of four languages, each within five standard deviations of 1,000."""
    edit = Edit("e", {lang: lang for lang in LANGUAGES[:5]}, {"en": "x"})
    rng = random.Random(0)
    counts = Counter(SourcePlusRandom(k=1)(edit, rng)[1].lang for _ in range(4000))
    assert set(counts) == set(LANGUAGES[1:5])
    assert all(abs(count - 1000) < 5 * (4000 * 0.25 * 0.75) ** 0.5 for count in counts.values())


def test_the_published_default_is_one_other_language_at_every_step():
    """MPN: k = 1, drawn anew per step."""
    assert SourcePlusRandom() == SourcePlusRandom(k=1, redraw="per_step")


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_at_least_one(k):
    with pytest.raises(ValueError, match="SourceOnly"):
        SourcePlusRandom(k=k)
