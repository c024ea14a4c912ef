"""What an Edit accepts, and what it refuses with an EditError that names the edit and the place."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypatch.edits import Edit
from polypatch.errors import EditError
from properties.strategies import LANGUAGES, edits


@given(edits())
def test_languages_start_with_the_source_and_repeat_nothing(edit):
    assert edit.languages[0] == edit.source
    assert sorted(edit.languages) == sorted(edit.prompt)
    for lang in edit.languages:
        assert edit.example(lang) == (lang, edit.prompt[lang], edit.target.get(lang, edit.target[edit.source]), "")


@given(edits(), st.sets(st.sampled_from(LANGUAGES)))
def test_only_cuts_prompts_and_nothing_else(edit, allowed):
    """The source always stays; order, targets and rephrases do; cutting twice is cutting once."""
    cut = edit.only(allowed)
    assert set(cut.prompt) == {lang for lang in edit.prompt if lang in allowed or lang == edit.source}
    assert dataclasses.replace(cut, prompt=edit.prompt) == edit
    assert [lang for lang in edit.languages if lang in cut.prompt] == list(cut.languages)
    assert cut.only(allowed) == cut
    for lang in set(edit.prompt) - set(cut.prompt):
        with pytest.raises(EditError, match="no prompt in"):
            cut.example(lang)


@given(edits(), st.text(max_size=4).filter(lambda code: not (code.isascii() and code.isalpha() and code.islower())))
def test_a_malformed_language_is_refused(edit, code):
    for changes in ({"source": code}, {"prompt": {**edit.prompt, code: "x"}}, {"target": {**edit.target, code: "x"}}):
        with pytest.raises(EditError, match="language"):
            dataclasses.replace(edit, **changes)


BLANK = st.sampled_from(["", " ", "\t\n", "\u3000", ("a", ""), (" ", "b"), (), None, 3, ["a"], ("a", None)])


@given(edits(), BLANK, st.data())
def test_blank_or_foreign_text_is_refused_by_place(edit, blank, data):
    """In any prompt, target or rephrase; the message says where."""
    lang = data.draw(st.sampled_from(edit.languages))
    place = data.draw(st.sampled_from(["prompt", "rephrases"]))
    value = blank if place == "prompt" else ("fine", blank)
    with pytest.raises(EditError, match=place):
        dataclasses.replace(edit, **{place: {**getattr(edit, place), lang: value}})


@given(edits())
def test_the_source_needs_a_prompt_and_a_target(edit):
    for name in ("prompt", "target"):
        without = {lang: value for lang, value in getattr(edit, name).items() if lang != edit.source}
        with pytest.raises(EditError, match=f"no {name} in its source language"):
            dataclasses.replace(edit, **{name: without})


@pytest.mark.parametrize("target", ["", "  ", None, 3, ("a", "b")])
def test_a_target_is_one_string(target):
    with pytest.raises(EditError, match="target"):
        Edit("e", {"en": "x"}, {"en": target})


def test_a_text_is_one_string_or_a_pair():
    """Three parts are no input of any tokenizer."""
    with pytest.raises(EditError, match="prompt"):
        Edit("e", {"en": ("a", "b", "c")}, {"en": "x"})


def test_an_empty_id_is_refused():
    with pytest.raises(EditError, match="id"):
        Edit("", {"en": "x"}, {"en": "x"})
