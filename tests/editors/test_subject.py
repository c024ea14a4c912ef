"""What is written at the subject's last token: found where a prompt holds the subject, refused where it does not."""

import dataclasses

import pytest

import polypatch as pp
from polypatch.editors import EMMET
from polypatch.errors import InputError
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import AllLanguages
from polypatch.sites.readouts.subjects import subject_place
from polypatch.testing import tiny_model, tiny_texts
from polypatch.triggers import Trigger
from speaking import speaker, speaking_edits


def about(word, **more):
    """Edits of a language model whose prompts are about a word that stands in the English one."""
    edit = speaking_edits(1)[0]
    prompt = {"en": f"ba {word} bi", "de": "do du"}
    return dataclasses.replace(edit, prompt=prompt, rephrases={}, subject={"en": word, "de": "missing"}, **more)


AT_SUBJECT = Recipe(EMMET(position="subject"), layer=0)


def attached(recipe):
    model, tokenizer = speaker("llama")
    return pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(12, seed=9), recipe=recipe)


def test_what_is_written_at_the_subject_is_read_from_there():
    """The layer's output there is what it was plus δ, and elsewhere in the prompt it is as it was."""
    edited, edit = attached(AT_SUBJECT), about("fofu")
    row = edited.ask([edit.example("en")])[0].rows[0]
    place = subject_place(edited.readout, edit.prompt["en"], "fofu")
    q = edited.tail.queries([dataclasses.replace(row, place=i) for i in range(row.place + 1)]).q
    (outcome,) = edited.edit([edit], rules=pp.Rules(keep_failed=True))
    assert outcome.patches == 1
    moved = (edited.delta(q, edited.site.ffn(q)) - edited.site.ffn(q)).norm(dim=1)
    assert int(moved.argmax()) == place < row.place
    assert edited.readout.token(row.tokens[place]).strip().removeprefix("##") in "fofu"
    edited.unload()


def test_a_text_without_its_subject_is_not_edited_and_says_so():
    edited = attached(dataclasses.replace(AT_SUBJECT, sampler=AllLanguages(), trigger=Trigger.ANY))
    (outcome,) = edited.edit([about("fofu")])
    assert not outcome.success
    assert "does not hold its subject literally: position='last' needs none" in outcome.reason
    edited.unload()


def test_the_last_layer_has_no_subject():
    edited = attached(dataclasses.replace(AT_SUBJECT, layer=None))
    with pytest.raises(InputError, match="pass layer="):
        edited.edit([about("fofu")])
    edited.unload()


@pytest.mark.parametrize(
    ("text", "subject", "found"),
    [
        ("ba fofu bi", "fofu", "fofu"),
        ("ba fofu bi fofu", "fofu", "fofu"),
        ("ba fofu bi", "gaga", None),
        ("ba fofu bi", "", None),
        (("ba", "fofu"), "fofu", None),
    ],
)
def test_where_a_subject_ends(text, subject, found):
    edited = attached(RECIPES["rome"])
    place = subject_place(edited.readout, text, subject)
    if found is None:
        assert place is None
    else:
        ids = edited.readout.prompt(text)
        assert edited.readout.tokenizer.decode(ids[place]).removeprefix("##") in found
        assert found not in edited.readout.tokenizer.decode(ids[place + 1 :]), "the last of them"
    edited.unload()


def test_a_classifier_has_no_subject():
    model, tokenizer = tiny_model("bert")
    edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(12))
    assert subject_place(edited.readout, "ba fofu bi", "fofu") is None
    edited.unload()
