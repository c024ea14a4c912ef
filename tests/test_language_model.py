"""A language model is opened, edited, asked, saved and opened again, as a classifier is."""

import json

import pytest

import polypatch as pp
from polypatch.errors import ArtefactError, EditError, InputError, UnsupportedModelError
from polypatch.sites.next_tokens import NextTokens
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from speaking import speaker, speaking_edits

MEMORY = {"en": tiny_texts(20), "de": tiny_texts(20, seed=1)}


def saved(folder, *parts):
    for part in parts:
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def checkpoint(request, tmp_path_factory):
    return saved(tmp_path_factory.mktemp("speaker"), *speaker(request.param))


def test_a_checkpoint_is_what_it_was_saved_as(checkpoint):
    """Embeddings that the head shares, as GPT-2's, are no missing weight."""
    model, _ = pp.load_checkpoint(checkpoint)
    assert type(model).__name__ in ("GPT2LMHeadModel", "LlamaForCausalLM")
    edited = pp.open(checkpoint, memory=MEMORY)
    assert isinstance(edited.readout, NextTokens)
    assert edited.labels == {}


def test_a_language_model_without_its_head_is_refused(tmp_path):
    model, tokenizer = speaker("llama")
    saved(tmp_path, model.model, tokenizer)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["LlamaForCausalLM"]}))
    with pytest.raises(UnsupportedModelError, match=r"no whole language model: the checkpoint lacks .*lm_head\.weight"):
        pp.load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["LlamaModel"]}))
    with pytest.raises(UnsupportedModelError, match="no trained classification head"):
        pp.load_checkpoint(tmp_path)


@pytest.mark.parametrize("asked", [{}, {"most": 5}, {"chat": True}])
def test_how_it_is_asked_is_saved_with_the_edits(asked, tmp_path):
    model, tokenizer = speaker(chat=True)
    edits = speaking_edits(3)
    edited = pp.edit(model, edits, tokenizer=tokenizer, memory=MEMORY, encoding=pp.Encoding(**asked))
    said = edited.predict([edit.prompt["en"] for edit in edits])
    right = [one == edit.target["en"] for one, edit in zip(said, edits, strict=True)]
    assert right == [outcome.success for outcome in edited.outcomes.values()]
    assert any(right)
    edited.save_pretrained(tmp_path / "edits")
    settings = json.loads((tmp_path / "edits" / "edit_config.json").read_text())["settings"]
    wanted = {"readout": "next-tokens", "most": 32, "chat": False, **asked}
    assert {name: settings[name] for name in wanted} == wanted
    edited.unload()
    loaded = pp.EditedModel.from_pretrained(tmp_path / "edits", model=model, tokenizer=tokenizer)
    assert loaded.readout.settings == edited.readout.settings
    assert loaded.predict([edit.prompt["en"] for edit in edits]) == said
    loaded.unload()


def test_a_classifier_s_folder_says_nothing_of_writing(tmp_path):
    model, tokenizer = tiny_model("bert")
    edited = pp.edit(model, tiny_edits(2), tokenizer=tokenizer, memory=tiny_texts(20))
    edited.save_pretrained(tmp_path / "edits")
    settings = json.loads((tmp_path / "edits" / "edit_config.json").read_text())["settings"]
    assert not {"readout", "most", "chat"} & settings.keys()
    edited.unload()
    for asked in (pp.Encoding(chat=True), pp.Encoding(most=5)):
        with pytest.raises(InputError, match="is a classifier and writes no answers"):
            pp.attach(model, tokenizer=tokenizer, memory=pp.MemoryTexts(), encoding=asked)
    with pytest.raises(InputError, match="cannot be asked by 'next-tokens'"):
        pp.attach(model, tokenizer=tokenizer, memory=pp.MemoryTexts(), encoding=pp.Encoding(readout="next-tokens"))


@pytest.mark.parametrize("change", [{"most": "x"}, {"chat": 1}, {"readout": "telepathy"}, {"readout": 3}, {"most": 0}])
def test_settings_that_cannot_be_are_refused(change):
    from polypatch.store.load import readout_in

    with pytest.raises(ArtefactError, match=r"edits: .*(readout|most)"):
        readout_in("edits", {"readout": "next-tokens", "most": 5, "chat": False, **change})


def without(edit, *languages):
    kept = {lang: text for lang, text in edit.target.items() if lang not in languages}
    return pp.Edit(edit.id, edit.prompt, kept, source=edit.source)


def test_an_answer_that_is_not_given_is_not_made_up():
    """Refused before anything is changed: not even the first edit, which has all its answers, is made."""
    model, tokenizer = speaker()
    edited = pp.attach(model, tokenizer=tokenizer, memory=MEMORY)
    one, two = speaking_edits(2)
    with pytest.raises(EditError, match=r"edit 'says-1' has no target in 'fr': .* give its own, as in \{'en': "):
        edited.edit([one, without(two, "fr")])
    assert not edited.records
    assert edited.edit([without(two, "fr")], rules=pp.Rules(languages=["de"]))[0].success  # nor asked for
    with pytest.raises(EditError, match=r"has no target in 'de'"):
        edited.fix("en 5 ba be", "bi", translations={"de": "de 5 bo bu"})
    fixed = edited.fix("en 5 ba be", {"en": "bi", "de": "bo"}, translations={"de": "de 5 bo bu"})
    assert fixed.holds
    edited.unload()


def test_an_answer_that_the_tokenizer_does_not_know_is_refused_by_name():
    model, tokenizer = speaker()
    edited = pp.attach(model, tokenizer=tokenizer, memory=MEMORY)
    edit = pp.Edit("odd", {"en": "en 1 ba", "de": "de 1 ba"}, {"en": "ba", "de": "ba Ж"})
    with pytest.raises(EditError, match=r"edit 'odd' in 'de': answer 'ba Ж' has 'Ж' in it, which the tokenizer"):
        edited.edit([edit])
    long = pp.Edit("long", {"en": "en 1 ba"}, {"en": "ba " * 40})
    with pytest.raises(EditError, match=r"edit 'long' in 'en': answer .* is 40 tokens long"):
        edited.edit([long])
    assert not edited.records
    edited.unload()
