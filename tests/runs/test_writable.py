"""Answers that a language model's tokenizer cannot write are left out of a data set, and counted."""

from polypatch.data import EditingData
from polypatch.edits import Edit
from polypatch.runs.writable import LEFT_OUT, writable
from polypatch.sites import FeedForwardSite, FrozenTail
from polypatch.testing import tiny_model


def data(*edits):
    return EditingData("made", edits, {}, {}, {})


def test_what_cannot_be_written_is_left_out_and_counted():
    model, tokenizer = tiny_model("gpt2", head="causal")
    readout = FrozenTail(FeedForwardSite(model), tokenizer).readout
    fine = Edit("fine", {"en": "ba da", "de": "bo do"}, {"en": "ga", "de": "go"})
    half = Edit("half", {"en": "ba ma", "de": "bo mo", "fr": "bi mi"}, {"en": "ga", "de": "漢", "fr": "gi"})
    bare = Edit("bare", {"en": "ba na", "de": "bo no"}, {"en": "ga"})
    gone = Edit("gone", {"en": "ba ra", "de": "bo ro"}, {"en": "漢", "de": "go"})
    found = writable(data(fine, half, bare, gone), readout)
    assert [(edit.id, edit.languages) for edit in found.edits] == [
        ("fine", ("en", "de")),
        ("half", ("en", "fr")),
        ("bare", ("en",)),
    ]
    assert found.notes == {LEFT_OUT: 3}


def test_a_classifiers_data_are_as_they_were():
    model, tokenizer = tiny_model("bert")
    given = data(Edit("one", {"en": "ba"}, {"en": "class-0"}))
    assert writable(given, FrozenTail(FeedForwardSite(model), tokenizer).readout) is given
