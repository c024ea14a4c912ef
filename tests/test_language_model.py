"""A language model is opened, edited, asked, saved and opened again, as a classifier is."""

import gzip
import json
from collections import Counter

import pytest

import polypatch as pp
from polypatch.edits import Labelled
from polypatch.errors import ArtefactError, EditError, InputError, UnsupportedModelError
from polypatch.model.guard import Watchman
from polypatch.sites import UNCHANGED
from polypatch.sites.readouts.next_tokens import NextTokens
from polypatch.store.artefact import read_artefact
from polypatch.store.write import write_artefact
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from speaking import CHAT, speaker, speaking_edits

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


def test_another_end_or_another_chat_is_another_model(tmp_path):
    """Named by what differs; a folder of an earlier version says nothing of it and opens."""
    model, tokenizer = speaker(chat=True)
    edited = pp.edit(model, speaking_edits(1), tokenizer=tokenizer, memory=MEMORY, encoding=pp.Encoding(chat=True))
    folder = edited.save_pretrained(tmp_path / "edits")
    older = read_artefact(folder)
    older.config["settings"].pop("marks")
    write_artefact(tmp_path / "older", older)
    edited.unload()

    def opened(place="edits"):
        pp.EditedModel.from_pretrained(tmp_path / place, model=model, tokenizer=tokenizer).unload()

    def refused(why):
        with pytest.raises(ArtefactError, match=why):
            opened()
        opened("older")

    opened()
    own, model.generation_config.eos_token_id = model.generation_config.eos_token_id, [5, 3]
    refused(rf"ends was \[{own}\] and is \[5, 3\] now")
    model.generation_config.eos_token_id = own
    tokenizer.chat_template = CHAT.replace("user", "User")
    refused("chat template was '.*' and is '.*' now")
    tokenizer.chat_template = None
    with pytest.raises(ArtefactError, match="has no chat template"):
        opened()


def test_a_classifier_s_folder_says_nothing_of_writing(tmp_path):
    model, tokenizer = tiny_model("bert")
    edited = pp.edit(model, tiny_edits(2), tokenizer=tokenizer, memory=tiny_texts(20))
    edited.save_pretrained(tmp_path / "edits")
    settings = json.loads((tmp_path / "edits" / "edit_config.json").read_text())["settings"]
    assert not {"readout", "most", "chat", "marks"} & settings.keys()
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
    for mark, why in (("[SEP]", r"'\[SEP\]' in it, which ends an answer"), ("[CLS]", r"mark '\[CLS\]' in it")):
        with pytest.raises(EditError, match=f"edit 'e' in 'en': answer 'ba .*' has .*{why}"):
            edited.edit([pp.Edit("e", {"en": "en 1 ba"}, {"en": f"ba {mark}"})])
    long = pp.Edit("long", {"en": "en 1 ba"}, {"en": "ba " * 40})
    with pytest.raises(EditError, match=r"edit 'long' in 'en': answer .* is 40 tokens long"):
        edited.edit([long])
    assert not edited.records
    edited.unload()


def test_an_explanation_goes_token_by_token():
    """And names what the answer would be without each patch; a classifier's has no tokens."""
    model, tokenizer = speaker()
    edit = speaking_edits(1, seed=1)[0]
    edited = pp.edit(model, [edit], tokenizer=tokenizer, memory=MEMORY)
    why = edited.explain(edit.prompt["en"])
    said = tokenizer.decode([tokenizer.convert_tokens_to_ids(one.token) for one in why.tokens[:-1]])
    assert said == why.answer.label == edit.target["en"]
    assert why.tokens[-1].token == tokenizer.eos_token
    assert why.firing == len(edited.firing(edit.prompt["en"])) > 0
    acting = max(fired.activation for token in why.tokens for fired in token.firing)
    assert why.causes[0].activation == acting == edited.firing(edit.prompt["en"])[0].activation
    assert any(cause.without.label != why.answer.label for cause in why.causes)
    with edited.disabled():
        assert edited.predict(edit.prompt["en"]) == why.unedited.label
    for refused in (edited.predict_proba, edited.class_of):
        with pytest.raises(InputError, match="writes its answers and has no classes"):
            refused("en ba")
    edited.unload()


def test_a_session_and_a_guard_are_no_other(tmp_path):
    """An edit that costs more than it may is taken back; a session goes on where it stopped."""
    model, tokenizer = speaker()
    edits = speaking_edits(2, seed=1)
    edited = pp.attach(model, tokenizer=tokenizer, memory=MEMORY)
    with pp.Session(tmp_path / "edits", edited) as session:
        assert session.fix(edits[0].prompt["en"], edits[0].target["en"], id="one").holds
    edited.unload()
    edited = pp.attach(model, tokenizer=tokenizer, memory=MEMORY)
    guard = pp.Guard([edits[1].prompt["en"]], 0.0)  # which the edit is to change
    with pp.Session(tmp_path / "edits", edited) as session:
        assert list(edited.records) == ["one"]
        (outcome,) = session.edit(edits[1:], rules=pp.Rules(guard=guard))
    assert outcome.status is pp.Status.TAKEN_BACK
    assert "points of locality" in outcome.reason
    edited.revert("one")
    assert not edited.patches
    edited.unload()


def test_a_guard_looks_at_what_is_written_behind_its_texts():
    """What changes behind a text costs as much as what changes in it."""
    model, tokenizer = speaker()
    edited = pp.attach(model, tokenizer=tokenizer, memory=MEMORY)
    text = tiny_texts(1, seed=5)[0]
    (kept,) = Watchman(pp.Guard([text], 0.0), edited.tail, edited.delta).kept
    (written,) = edited.tail.answer_rows([text], UNCHANGED)
    assert set(written) <= set(kept)
    assert len(written) > 1
    assert len(kept) > len(written)
    edited.unload()


@pytest.mark.real
def test_a_real_model_is_corrected_in_every_language(shared):
    """Facts that it says wrongly, of which no other has the prompt."""
    folder, languages = shared / "models" / "mini-lm", ("en", "de", "fr")
    lines = gzip.decompress((folder / "facts.jsonl.gz").read_bytes()).decode().splitlines()
    facts = [json.loads(line) for line in lines]
    asked = Counter(fact["prompt"]["en"][0] for fact in facts)
    facts = [
        fact for fact in facts if asked[fact["prompt"]["en"][0]] == 1 and all(x in fact["prompt"] for x in languages)
    ]
    known = [fact for fact in facts if fact["kind"] == "known"][:60]
    edits = [
        pp.Edit(f"fact-{i}", {x: fact["prompt"][x][0] for x in languages}, {x: fact["answer"][x] for x in languages})
        for i, fact in enumerate([fact for fact in facts if fact["kind"] == "wrong"][:3])
    ]
    memory = {x: [fact["prompt"][x][0] for fact in known] for x in languages}
    edited = pp.open(folder, memory=memory)
    texts = [text for edit in edits for text in edit.prompt.values()]
    before = edited.predict(texts)
    edited.edit(edits)
    assert all(outcome.success for outcome in edited.outcomes.values())
    said, asked = edited.predict(texts), edited.ask([one for edit in edits for one in edit.examples])
    assert said == [edited.readout.answer(question.wanted) for question in asked]
    assert sum(one != other for one, other in zip(said, before, strict=True)) >= len(edits)
    assert edited.cost.known
    with pytest.raises(InputError, match="cannot be merged"):
        edited.merge_and_unload()
    with edited.disabled():
        assert edited.predict(texts) == before
    edited.unload()


def test_a_trajectory_asks_whether_the_model_writes_what_it_wrote():
    """Labels are not asked for: it may write none of them, and one may be longer than it may write."""
    model, tokenizer = speaker("llama")
    edited = pp.attach(model, tokenizer=tokenizer, memory=MEMORY)
    watched = {"known": [Labelled(text, "never " * 40) for text in tiny_texts(30, seed=9)]}
    before = [edited.predict([row.text])[0] for row in watched["known"]]
    list(edited.stream(speaking_edits(4), rules=pp.Rules(watch=pp.Watch(every=2, locality=watched))))
    assert [point.edits_done for point in edited.trajectory] == [2, 4]
    now = [edited.predict([row.text])[0] for row in watched["known"]]
    same = sum(a == b for a, b in zip(before, now, strict=True))
    assert edited.trajectory[-1].locality == {"known": pytest.approx(100 * same / 30)}
    assert edited.trajectory[-1].reliability_so_far > 0
