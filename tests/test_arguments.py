"""A string is a sequence of letters: where a list is meant it is refused by name, not taken apart."""

import pandas as pd
import pytest

import polypatch as pp
from polypatch.data.rows import choose_languages
from polypatch.edits import Labelled
from polypatch.errors import ContradictionError, InputError
from polypatch.testing import tiny_edits, tiny_texts


@pytest.fixture
def edited(tiny):
    model, tokenizer = tiny("bert")
    made = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(20))
    yield made
    made.unload()


CALLS = {
    "rules, languages": (lambda e: pp.Rules(languages="de"), "languages is 'de'"),
    "evaluate, languages": (lambda e: pp.evaluate(e, tiny_edits(1), languages="de"), "languages is 'de'"),
    "sampler": (lambda e: pp.OnlyLanguages("de"), "languages is 'de'"),
    "mapping sampler": (lambda e: pp.SourcePlusMapped(languages="de"), "languages is 'de'"),
    "data": (lambda e: choose_languages("de", ["en", "de"], source="en", where="here"), "languages is 'de'"),
    "memory texts": (lambda e: pp.EditingData("x", ()).memory_texts("de"), "languages is 'de'"),
    "no codes": (lambda e: pp.Rules(languages=["de", 7]), "7 is not a lower-case ISO 639"),
    "guard": (lambda e: pp.Guard("text", 1.0), "probe is 'text'"),
    "guard, no text": (lambda e: pp.Guard(["text", 3], 1.0), r"probe\[1\] is 3"),
    "rules, guard": (lambda e: pp.Rules(guard=["text"]), r"guard must be a Guard or none, not \['text'\]"),
    "rules, watch": (lambda e: pp.Rules(watch=5), "watch must be a Watch or none, not 5"),
    "locality": (lambda e: pp.evaluate(e, [], locality={"x": "text"}), r"locality\['x'\] is 'text'"),
    "locality, texts": (lambda e: pp.evaluate(e, [], locality={"x": ["ab"]}), r"a row is \(text, label\)"),
    "locality, list": (lambda e: pp.evaluate(e, [], locality=[Labelled("a", "b")]), "is a mapping"),
    "watch": (lambda e: pp.Watch(every=1, locality={"x": "text"}), r"locality\['x'\] is 'text'"),
    "watch, never": (lambda e: pp.Watch(every=0), "at least 1, not 0"),
    "no such code": (lambda e: pp.Rules(languages=["xx"]), "'xx' is not a lower-case ISO 639"),
    "sampler, a country": (lambda e: pp.OnlyLanguages(("jp",)), "write 'ja'"),
    "guard, empty text": (lambda e: pp.Guard(["text", " "], 1.0), r"probe\[1\] is empty"),
    "guard, half a character": (lambda e: pp.Guard(["a\ud800"], 1.0), "half of a character"),
    "locality, a table": (lambda e: pp.evaluate(e, [], locality={"x": pd.DataFrame({"t": ["a"]})}), "the columns t"),
    "one edit": (lambda e: list(pp.edit_stream(e, tiny_edits(1)[0])), "not one Edit"),
    "no edit": (lambda e: list(pp.edit_stream(e, ["wake me up"])), r"edits\[0\] is a str"),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_list_is_refused_by_name(edited, call):
    make, said = CALLS[call]
    with pytest.raises(InputError, match=said):
        make(edited)
    assert edited.outcomes == {}


@pytest.mark.parametrize("name", ["validation", "parallel"])
def test_texts_to_attach_with_are_lists(tiny, name):
    model, tokenizer = tiny("bert")
    recipe, given = (
        ("polypatch-linear-mapped", {"en": "text", "de": "Text"}) if name == "parallel" else ("polypatch", [3])
    )
    with pytest.raises(InputError, match=r"parallel\['en'\] is 'text'|validation\[0\] is 3"):
        pp.attach(model, tokenizer=tokenizer, memory=pp.MemoryTexts(tiny_texts(5), **{name: given}), recipe=recipe)


TWINS = {
    "Unicode form": ("caf\u00e9 bo", "cafe\u0301 bo", "but for case or Unicode form"),
    "case": ("Ba Be", "ba be", "but for case or Unicode form"),
    "case of another script": ("STRASSE bo", "straße bo", "but for case or Unicode form"),
    "tokens": ("ba   be!", "ba be !", "to the model's tokenizer"),
    "beyond the model's length": (f"{'ba ' * 70}one", f"{'ba ' * 70}two", "to the model's tokenizer"),
}


@pytest.mark.filterwarnings("ignore:.*longer than the 64 tokens")
@pytest.mark.parametrize("kind", TWINS)
def test_one_input_in_two_spellings_gets_one_answer(edited, kind):
    """All were taken before, one after another, and the last one won."""
    one, other, said = TWINS[kind]
    edits = [pp.Edit(name, {"en": text}, {"en": name}) for name, text in (("class-0", one), ("class-1", other))]
    with pytest.raises(ContradictionError, match=said) as refused:
        list(pp.edit_stream(edited, edits))
    assert "class-0" in str(refused.value)
    assert "class-1" in str(refused.value)
    edited.edit(edits[:1])
    with pytest.raises(ContradictionError):  # what was made before counts as well
        edited.edit(edits[1:])
    assert len(list(pp.edit_stream(edited, edits[1:], rules=pp.Rules(allow_contradictions=True)))) == 1


def test_twins_that_want_one_answer_and_other_texts_are_no_contradictions(edited):
    texts = ["caf\u00e9 bo", "cafe\u0301 bo", "CAFÉ bo", "cafe bu", "cafe bi"]
    targets = ["class-0", "class-0", "class-0", "class-1", "class-2"]
    edits = [
        pp.Edit(str(i), {"en": text}, {"en": target})
        for i, (text, target) in enumerate(zip(texts, targets, strict=True))
    ]
    assert len(edited.edit(edits)) == 5
