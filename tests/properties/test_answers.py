"""A language model is asked for anything: it learns it or says why not, and after a refusal nothing has changed."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import polypatch as pp
from polypatch.editors import GRACE
from polypatch.errors import PolypatchError
from polypatch.recipes import Recipe
from polypatch.samplers import AllLanguages
from polypatch.testing import tiny_texts
from polypatch.testing.bits import Photograph
from polypatch.triggers import Trigger
from speaking import speaker

ODD = ("", " ", "\n", "[SEP]", "ba [SEP] be", "[CLS][PAD]", "[MASK]", "[UNK]", "##ba", "ba\x00be", "\ud800", "Ж", "…")
ODD += ("שלום עולם", "\u202eba be\u202c", "مرحبا", "١٢", "𝔟𝔞 𐍈", "👩\u200d👧", "e\u0301", "ﬁ", "ba\u2028be", " ba")
KNOWN = st.lists(st.sampled_from(("ba", "be", "do", "du", "7", "x")), min_size=1, max_size=3).map(" ".join)
LONG = st.integers(20, 3000).map(lambda n: "ba " * n)
TEXTS = st.one_of(st.sampled_from(ODD), st.text(max_size=12), LONG)
LANGUAGES = ("en", "de", "ar")


@st.composite
def edits(draw):
    """Fields of an edit; nearly all of them have something odd in one place, or lack it there."""
    languages = draw(st.lists(st.sampled_from(LANGUAGES), min_size=1, unique=True))
    fields = {name: {lang: draw(KNOWN) for lang in languages} for name in ("prompt", "target")}
    fields["aliases"] = {lang: draw(st.lists(st.one_of(KNOWN, TEXTS), max_size=1).map(tuple)) for lang in languages}
    fields["source"] = draw(st.sampled_from(languages))
    place, lang = fields[draw(st.sampled_from(("prompt", "target")))], draw(st.sampled_from(languages))
    odd = draw(st.one_of(TEXTS, TEXTS, TEXTS, st.none()))
    if odd is None:
        del place[lang]
    else:
        place[lang] = odd
    return fields


QUICK = Recipe(GRACE(max_steps=3), AllLanguages(), Trigger.ANY)
ASKED = ["en ba be", "de bo", "7 du"]


@pytest.fixture(scope="module")
def edited():
    model, tokenizer = speaker()
    how = {"recipe": QUICK, "encoding": pp.Encoding(most=4), "rules": pp.Rules(keep_failed=True)}
    yield (made := pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(5), **how))
    made.unload()


@pytest.fixture(scope="module")
def tally():
    """How often it learned, and what it said otherwise."""
    found = Counter()
    yield found
    assert min(found["learned"], found["refused"]) > 10, found


@pytest.mark.filterwarnings("ignore::polypatch.PolypatchWarning")  # of texts that are not read to their end
@settings(max_examples=120)
@given(fields=edits())
def test_an_edit_is_made_or_refused(edited, tally, fields):
    said, records, as_it_was = edited.predict(ASKED), dict(edited.records), Photograph.of(edited.model)
    message = ""
    try:
        edit = pp.Edit("odd", **fields)
        (outcome,) = edited.edit([edit])
    except PolypatchError as error:
        message = str(error)
    tally["refused" if message else "learned"] += 1
    if message:
        assert len(message) < 500
        assert message.isprintable()
        assert edited.records == records
    else:
        asked = edited.ask([edit.example(lang) for lang in outcome.languages])
        assert outcome.success == all(edited.tail.right(asked, edited.delta)) or not outcome.triggered
        edited.revert("odd")
    assert not edited.delta.owners
    assert edited.predict(ASKED) == said
    as_it_was.compare(edited.model, "after an odd edit")
