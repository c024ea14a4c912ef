"""The public calls as a careless user makes them: what is clear works, the rest is refused by name."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

import polypatch as pp
from polypatch.data import Material, assemble
from polypatch.errors import InputError, UnknownLabelError, UnsupportedModelError
from polypatch.testing import tiny_edits, tiny_model, tiny_texts

HALF = "a\ud800"


@pytest.fixture
def edited(tiny):
    model, tokenizer = tiny("bert")
    made = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(20))
    yield made
    made.unload()


TEXTS = ["ba be", "bi bo bu"]
COLUMNS = {
    "NumPy": np.array(TEXTS),
    "NumPy objects": np.array(TEXTS, dtype=object),
    "pandas": pd.Series(TEXTS),
    "pandas, other index": pd.Series(TEXTS, index=[7, 3]),
    "a generator": (text for text in TEXTS),
    "a set": set(TEXTS),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_of_texts_is_a_list_of_them(edited, column):
    given = COLUMNS[column]
    texts = list(given) if column != "a generator" else TEXTS
    assert edited.predict(given) == [edited.predict(text) for text in texts]


def test_a_memory_may_be_a_column(tiny):
    model, tokenizer = tiny("bert")
    kept = []
    for given in (
        tiny_texts(20),
        np.array(tiny_texts(20)),
        pd.Series(tiny_texts(20)),
        {"en": pd.Series(tiny_texts(20))},
    ):
        made = pp.attach(model, tokenizer=tokenizer, memory=given)
        kept.append([*made.kept.train, *made.kept.validation])
        made.unload()
    assert kept == [kept[0]] * 4


ASKED = {
    "predict, nothing": (lambda e: e.predict(None), "texts is None"),
    "predict, no text": (lambda e: e.predict(["a", None]), r"texts\[1\] is None"),
    "predict, NaN": (lambda e: e.predict(pd.Series(["a", None], dtype=object)), r"texts\[1\] is None"),
    "predict, number": (lambda e: e.predict([3]), r"texts\[0\] is 3"),
    "predict, bytes": (lambda e: e.predict(b"a"), "texts is b'a'"),
    "predict, half a character": (lambda e: e.predict(HALF), "half of a character"),
    "predict, lists for pairs": (lambda e: e.predict([["a", "b"]]), "a tuple of two strings"),
    "predict, a tuple of three": (lambda e: e.predict(("a", "b", "c")), "a tuple of two strings"),
    "predict, mixed": (lambda e: e.predict(["a", ("a", "b")]), "mixes texts and pairs"),
    "predict, by language": (lambda e: e.predict({"en": "a"}), "texts is {'en'"),
    "predict, a table": (lambda e: e.predict(pd.DataFrame({"text": ["a"]})), "the columns text: give one of them"),
    # these were taken apart into letters
    "probabilities": (lambda e: e.probabilities("ba be"), "texts is 'ba be': give a list"),
    "before and after": (lambda e: e.predict_before_after("ba be"), "texts is 'ba be'"),
    "answers": (lambda e: e.answers_before_after("ba be"), "texts is 'ba be'"),
    "firing": (lambda e: e.firing(["ba"]), r"text is \['ba'\]"),
    "explain": (lambda e: e.explain(None), "text is None"),
    "explain, half a character": (lambda e: e.explain(HALF), "half of a character"),
    "revert, nothing": (lambda e: e.revert(None), "edit_ids is None"),
    "revert, an edit": (lambda e: e.revert(tiny_edits(1)[0]), "edit_ids is Edit"),
    "prune": (lambda e: e.prune(max_changed="1"), "not '1'"),
    "locality, no text": (lambda e: pp.evaluate(e, [], locality={"x": [(None, "class-1")]}), r"text of locality.*None"),
    "locality, a number": (lambda e: pp.evaluate(e, [], locality={"x": [("a", 1)]}), r"label of locality.* number 1"),
}


@pytest.mark.parametrize("call", ASKED)
def test_what_is_asked_is_text(edited, call):
    ask, said = ASKED[call]
    with pytest.raises(InputError, match=said):
        ask(edited)


def test_a_memory_of_one_text_is_a_memory(tiny):
    """It was held back for the stopping rule, and said to be none."""
    made = attached(tiny, memory=["ba be"])
    assert list(made.kept.train) == ["ba be"]
    made.unload()


def attached(tiny, **given):
    model, tokenizer = tiny("bert")
    return pp.attach(model, **{"tokenizer": tokenizer, "memory": tiny_texts(20), **given})


def mapped(parallel):
    memory = pp.MemoryTexts(tiny_texts(20), parallel=parallel)
    model, tokenizer = tiny_model("bert")  # which nobody takes the edits off again
    return pp.attach(model, tokenizer=tokenizer, recipe="polypatch-linear-mapped", memory=memory)


HALF_LABELLED = [(text, "class-1") for text in tiny_texts(10)]

CALLS = {
    "no tokenizer": (lambda t, e: attached(t, tokenizer=None), "the tokenizer is None"),
    "a tokenizer by name": (lambda t, e: attached(t, tokenizer="bert"), "the tokenizer is 'bert'"),
    "a tokenizer of another model": (
        lambda t, e: attached(t, tokenizer=grown(t("bert")[1])),
        "BertForSequenceClassification: the tokenizer numbers its entries up to 197, and the model has embeddings for",
    ),
    "no recipe": (lambda t, e: attached(t, recipe=None), "recipe is None"),
    "an editor for a recipe": (lambda t, e: attached(t, recipe=pp.TPatcher()), "recipe is TPatcher"),
    "an editor by name": (lambda t, e: pp.Recipe("TPatcher"), "editor must be one such as TPatcher()"),
    "a class for an editor": (lambda t, e: pp.Recipe(pp.TPatcher), "editor must be one such as TPatcher()"),
    "a class for a sampler": (lambda t, e: pp.Recipe(pp.TPatcher(), pp.SourceOnly), "sampler must be one such as"),
    "a trigger by name": (
        lambda t, e: pp.Recipe(pp.TPatcher(), trigger="any"),
        "trigger must be one of Trigger",
    ),
    "a seed that is text": (lambda t, e: pp.Rules(seed="1"), "seed must be a whole number, not '1'"),
    "a guard by texts": (lambda t, e: pp.Rules(guard=["a"]), "guard must be a Guard or none, not"),
    "a watch by number": (lambda t, e: pp.Rules(watch=5), "watch must be a Watch or none, not"),
    "a length that is text": (lambda t, e: pp.Encoding(max_length="64"), "max_length must be a whole number"),
    "rules in a mapping": (lambda t, e: e.edit(tiny_edits(1), rules={"seed": 2}), r"rules is .*: give a Rules\("),
    "rules to attach with": (lambda t, e: attached(t, rules={"seed": 2}), r"rules is .*: give a Rules\("),
    "an encoding by length": (lambda t, e: attached(t, encoding=64), r"encoding is 64: give an? Encoding\("),
    "no readout": (lambda t, e: attached(t, encoding=pp.Encoding(readout="tokens")), "no readout is called 'tokens'"),
    "translations in no language": (
        lambda t, e: e.fix("ba", "class-1", translations=["bi"]),
        "translations is",
    ),
    # the translation was corrected in place of the text
    "a translation for the text": (lambda t, e: e.fix("ba", "class-1", translations={"en": "bi"}), "leave it out"),
    "a session of a model": (lambda t, e: pp.Session("x", e.model), "edited is BertFor"),
    "a report that is text": (
        lambda t, e: e.save_pretrained("x", report="good"),
        "report is 'good'",
    ),
    "parallel texts in no language": (lambda t, e: mapped("x"), "parallel is 'x': give texts by language"),
    "parallel texts in one language": (lambda t, e: mapped({"en": tiny_texts(20)}), "parallel has en alone"),
    "parallel texts in no such language": (lambda t, e: mapped({"en": ["a"], "jp": ["b"]}), "write 'ja'"),
    "edits in another language than is mapped": (
        lambda t, e: mapped({"de": tiny_texts(20), "en": tiny_texts(20)}).edit(tiny_edits(1)),
        "edit 'tiny-0' is in 'en', and queries are mapped from 'de'",
    ),
    "sizes by number": (
        lambda t, e: assemble(Material("x", ("en",), ()), sizes=5),
        "sizes is 5: give",
    ),
    "a translator by number": (lambda t, e: pp.translated([("a", "b")], ["de"], translator=3), "translator is 3"),
    "a memory with labels": (lambda t, e: attached(t, memory=HALF_LABELLED), "memory has labels in it"),
    "held out, by no language": (
        lambda t, e: attached(t, memory=pp.MemoryTexts(["a"], held_out={"EN": ["b"]})),
        "held_out: 'EN'.*write 'en'",
    ),
    "a model that is not attached": (lambda t, e: pp.edit_stream(e.model, []), "BertFor.* is no EditedModel: attach"),
    "an unknown moment": (lambda t, e: pp.evaluate(e, [], when="last"), "when is one of final, immediate, not 'last'"),
    "a model by name": (
        lambda t, e: pp.attach("bert", tokenizer=t("bert")[1], memory=["a"]),
        "model is 'bert': load it, by polypatch.open",
    ),
    "measuring the model": (lambda t, e: pp.evaluate(e.model, []), "BertFor.* is no EditedModel"),
    "contradictions, the model": (lambda t, e: pp.find_contradictions(e, []), "give an edited model's, edited.tail"),
    "a seed of the world": (lambda t, e: pp.load_world("x"), "seed is a whole number, not 'x'"),
    "data of texts": (lambda t, e: pp.EditingData("x", ["a"]), r"edits\[0\] is a str"),
    "data, locality of texts": (lambda t, e: pp.EditingData("x", (), locality={"near": ["ab"]}), "a row is"),
}


@pytest.mark.parametrize("label", [None, 1, b"class-1"])
def test_a_class_is_asked_for_by_its_name(edited, label):
    with pytest.raises(UnknownLabelError, match=r"the model has no class.*(a string|the number 1|decode it)"):
        edited.class_of(label)


def test_a_list_of_languages_is_as_good_as_a_tuple():
    assert pp.OnlyLanguages(["de", "fr"]) == pp.OnlyLanguages(("de", "fr"))
    assert pp.SourcePlusMapped(languages=["de"]) == pp.SourcePlusMapped(languages=("de",))


def grown(tokenizer):
    other = copy.deepcopy(tokenizer)
    other.add_tokens(["another"])
    return other


@pytest.mark.parametrize("call", CALLS)
def test_what_a_call_is_made_with_is_looked_at_first(tiny, edited, call):
    make, said = CALLS[call]
    edited.unload()
    with pytest.raises(InputError, match=said):
        make(tiny, edited)


def test_columns_pairs_and_names_do_as_well(edited):
    """A guard and a watch of NumPy's and plain rows; a recipe by name where the model has edits of it."""
    guard = pp.Guard(np.array(tiny_texts(5, seed=1)), 100.0)
    watch = pp.Watch(every=1, locality={"near": [("ba be", "class-1"), ["bi", "class-0"]]})
    edited.edit(tiny_edits(2), recipe="polypatch", rules=pp.Rules(guard=guard, watch=watch))
    assert [point.edits_done for point in edited.trajectory] == [1, 2]
    pairs = [("ba be", "class-1"), ("ba be", "class-2")]
    assert len(pp.find_contradictions(edited.tail, pairs)) == 1


LABELS = {
    "CLASS-1": "only case or spaces differ from 'class-1': write it so",
    " class-1\n": "only case or spaces differ from 'class-1'",
    "class_1": "closest: 'class-1'",
    "1": "labels are names: class 1 is called 'class-1'",
    "7": "it has 3: class-0, class-1, class-2$",
    "joy": "it has 3: class-0",
}


@pytest.mark.parametrize("label", LABELS)
def test_an_unknown_label_says_which_one_is_meant(edited, label):
    with pytest.raises(UnknownLabelError, match=LABELS[label]):
        edited.edit([{"prompt": {"en": "ba be", "de": "bi"}, "label": label}])
    with pytest.raises(UnknownLabelError, match=LABELS[label]):
        pp.evaluate(edited, [], locality={"x": [("ba", label)]})
    assert not edited.records


def test_edits_of_every_shape_are_made(edited):
    """And the same correction has one id, so that it is found again."""
    rows = [*tiny_edits(1), ("ba be bi", "class-2"), {"text": "bo bu", "label": "class-0", "lang": "fr"}]
    with pytest.warns(pp.PolypatchWarning, match="one language only"):
        edited.edit(rows)
    assert [record.edit.source for record in edited.records.values()] == ["en", "en", "fr"]
    assert list(edited.records)[1].startswith("ba-be-bi-")
    assert pp.evaluate(edited, rows).reliability == 100
    with pytest.raises(pp.PolypatchError, match="ba-be-bi-"), pytest.warns(pp.PolypatchWarning):
        edited.edit(rows[1:2])
    assert len(edited.records) == 3


def test_a_text_that_is_not_read_to_its_end_is_named_once(edited):
    long, whole = "ba " * 333_333, " ".join(["ba"] * (edited.readout.tokens.max_length - 2))
    rows = [*tiny_edits(1), {"id": "a", "prompt": {"en": long, "de": "bi"}, "label": "class-0"}]
    with pytest.warns(pp.PolypatchWarning, match="text of edit 'a' in 'en' is longer than the 64 tokens") as said:
        edited.edit(rows)
    assert sum("longer than" in str(one.message) for one in said) == 1
    edited.edit([{"id": "b", "prompt": {"en": f"{whole[:-2]}bo", "de": "bo"}, "label": "class-0"}])  # to the last token


def test_a_text_that_is_to_change_and_to_stay_is_named(tiny):
    """A memory that holds the sentence to be mended works against the edit: two of twelve did not take by t-patcher."""
    edits = tiny_edits(2)
    edited = attached(tiny, memory=[*tiny_texts(20), *edits[1].prompt.values()])
    edited.edit(edits[:1])
    with pytest.warns(pp.PolypatchWarning, match="3 texts of the edits, such as that of 'tiny-1' in 'en', are in"):
        edited.edit(edits[1:])
    edited.revert("tiny-1")
    edited.unload()


@pytest.mark.parametrize("kind", ["multi_label_classification", "regression"])
def test_a_head_that_does_not_choose_one_class_is_refused_by_name(kind):
    model, tokenizer = tiny_model("bert")
    model.config.problem_type = kind
    with pytest.raises(UnsupportedModelError, match=f"problem_type='{kind}'.*single_label_classification"):
        pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(5))
    model.config.problem_type = "single_label_classification"
    pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(5)).unload()


def test_texts_of_any_length_are_asked(edited):
    assert torch.isfinite(edited.probabilities(["ba " * 300_000, ""])).all()
