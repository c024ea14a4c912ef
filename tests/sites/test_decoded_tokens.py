"""What a model with an encoder and a decoder is asked: rows of the decoder, about the prompt."""

import pytest
import torch
from tokenizers.processors import TemplateProcessing

import polypatch as pp
from polypatch.errors import EditError, InputError
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail
from polypatch.sites.readouts.readout import ReadoutSettings
from polypatch.sites.rows import Question
from polypatch.testing import tiny_texts
from speaking import ALL_LANGUAGES, decoder, speaking_edits

TEXTS = ["ba be 3 bobi", "ko", "lu la ki ko mu ma ti pi", "re 9 so"]
MOST = 6
ENCODING = pp.Encoding(most=MOST)


def tail_of(family="t5", *, seed=0, model=None, tokenizer=None):
    if model is None:
        model, tokenizer = decoder(family, seed=seed)
    return FrozenTail(FeedForwardSite(model), tokenizer, readout=ReadoutSettings(most=MOST))


def generated(model, tokenizer, texts, **how):
    """By the model's own `generate`, in one batch."""
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    return model.generate(**batch, do_sample=False, num_beams=1, max_new_tokens=MOST, **how).tolist()


@pytest.mark.parametrize("family", ["t5", "mt5", "bart", "m2m_100", "pegasus"])
@pytest.mark.parametrize("ending", [False, True])
def test_right_is_what_is_generated(family, ending):
    """With the natural end, and one that is never reached; neighbours are of other lengths. One token more is wrong."""
    model, tokenizer = decoder(family, seed=3)
    whole = generated(model, tokenizer, TEXTS)
    if ending:  # a token that it writes second to some text
        model.generation_config.eos_token_id = [tokenizer.eos_token_id, whole[0][2]]
        whole = generated(model, tokenizer, TEXTS)
    tail = tail_of(model=model, tokenizer=tokenizer)
    written = tail.readout.unedited([tail.readout.prompt(text) for text in TEXTS], tail.site.bare)
    for row, one in zip(whole, written, strict=True):
        assert tuple(row[1 : len(one.ids) + 1]) == one.ids
        assert len(one.ids) == MOST or one.ids[-1] in tail.readout.ends
    assert any(len(one.ids) < MOST for one in written) == ending
    questions = [
        tail.readout.said(tail.readout.prompt(text), one.ids) for text, one in zip(TEXTS, written, strict=True)
    ]
    assert all(tail.right(questions, UNCHANGED))
    assert all(tail.right([question], UNCHANGED)[0] for question in questions)
    said = tail.said([row for question in questions for row in question.rows], UNCHANGED)
    least = torch.stack([part.min() for part in said.probability.split([len(one.rows) for one in questions])])
    spoken = tail.predict(TEXTS, UNCHANGED)
    torch.testing.assert_close(spoken.probability, least, atol=1e-5, rtol=1e-4)
    wrong = [Question(one.rows, (*one.wanted[:-1], (one.wanted[-1] + 1) % tail.readout.width)) for one in questions]
    assert not any(tail.right(wrong, UNCHANGED))


def test_the_rows_of_an_answer_stand_in_one_pass_about_the_prompt():
    tail = tail_of()
    (question,) = tail.readout.ask(["ba be"], ["ko ki"])
    start, end = tail.site.model.config.decoder_start_token_id, tail.encoder.tokens.tokenizer.eos_token_id
    assert question.wanted[-1] == end
    assert len(question.wanted) == 3
    assert {row.tokens for row in question.rows} == {(start, *question.wanted[:-1])}
    assert {row.context for row in question.rows} == {tail.readout.prompt("ba be")}
    assert [row.place for row in question.rows] == [0, 1, 2]
    assert tail.readout.prompt("ba be")[-1] == end  # the encoder reads it as the tokenizer writes it
    (first,) = tail.readout.rows(["ba be"])
    assert (first.tokens, first.place, first.context) == ((start,), 0, tail.readout.prompt("ba be"))
    assert tail.readout.answer(question.wanted) == "ko ki"
    (mapped,) = tail.readout.ask(["ba be"], ["ko ki"], ["de"])
    assert mapped.wanted == question.wanted[:1]
    assert mapped.rows[0].origin == first


def test_what_is_kept_of_a_text_is_what_the_unedited_model_writes():
    """Also while it is edited; and it is written once."""
    model, tokenizer = decoder("bart")
    edits = speaking_edits(1)
    edited = pp.edit(model, edits, tokenizer=tokenizer, memory=tiny_texts(6), recipe=ALL_LANGUAGES, encoding=ENCODING)
    text = edits[0].prompt["en"]
    readout = edited.readout
    (kept,) = readout.keep([text])
    with edited.disabled():
        (whole,) = generated(model, tokenizer, [text])
        before = edited.predict(text)
    assert kept[0].tokens == tuple(whole[:-1])
    assert [row.place for row in kept] == list(range(MOST))
    assert edited.predict(text) == edits[0].target["en"] != before
    calls = []
    readout.greedy = lambda prompts: calls.append(prompts)
    assert readout.keep([text]) == [kept]
    assert not calls
    edited.unload()


def test_what_a_checkpoint_forces_is_given_and_not_asked():
    """The target language of a translator: `generate` writes it first, whatever the model would say."""
    model, tokenizer = decoder("m2m_100")
    lang = tokenizer("ba", add_special_tokens=False)["input_ids"][0]
    free = generated(model, tokenizer, TEXTS)
    model.generation_config.forced_bos_token_id = lang
    forced = generated(model, tokenizer, TEXTS)
    assert forced != free
    tail = tail_of(model=model, tokenizer=tokenizer)
    start = tokenizer.eos_token_id
    assert tail.readout.begun == (start, lang)
    written = tail.readout.unedited([tail.readout.prompt(text) for text in TEXTS], tail.site.bare)
    assert [(start, lang, *one.ids[:-1]) for one in written] == [tuple(row) for row in forced]
    (question,) = tail.readout.ask(TEXTS[:1], ["ko"])
    assert [row.place for row in question.rows] == [1, 2]
    assert [row.place for row in tail.readout.keep(TEXTS[:1])[0]] == list(range(1, MOST + 1))


def test_the_marks_before_every_target_are_given_too():
    """As BART's tokenizer has one; an end that is forced is not."""
    model, tokenizer = decoder("bart")
    model.generation_config.forced_eos_token_id = tokenizer.eos_token_id
    marks = [(mark, tokenizer.convert_tokens_to_ids(mark)) for mark in (tokenizer.cls_token, tokenizer.sep_token)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{marks[0][0]} $A {marks[1][0]}", special_tokens=marks
    )
    tail = tail_of(model=model, tokenizer=tokenizer)
    assert tail.readout.begun == (tokenizer.eos_token_id, tokenizer.cls_token_id)
    (question,) = tail.readout.ask(["ba be"], ["ko"])
    assert len(question.wanted) == 2
    assert [row.place for row in question.rows] == [1, 2]
    assert [row.place for row in tail.readout.keep(["ba be"])[0]] == list(range(MOST + 1))
    edits = speaking_edits(1)
    edited = pp.edit(model, edits, tokenizer=tokenizer, memory=tiny_texts(4), recipe=ALL_LANGUAGES, encoding=ENCODING)
    assert edited.predict(list(edits[0].prompt.values())) == list(edits[0].target.values())
    edited.unload()


def test_what_cannot_be_asked_is_refused_by_name():
    model, tokenizer = decoder()
    readout = tail_of(model=model, tokenizer=tokenizer).readout
    for answer, why in (
        ("", "is 0 tokens long"),
        ("ba " * MOST, "is 6 tokens long, and an answer has 1 to 5"),
        ("ba Ж", "'Ж' in it, which the tokenizer does not know"),
        ("ba [SEP]", r"'\[SEP\]' in it, which ends an answer"),
        ("ba [CLS]", r"the tokenizer's mark '\[CLS\]' in it"),
    ):
        with pytest.raises(InputError, match=why):
            readout.ask(["ba be"], [answer])
    with pytest.raises(InputError, match="chat=True, and T5ForConditionalGeneration"):
        FrozenTail(FeedForwardSite(model), tokenizer, readout=ReadoutSettings(chat=True))
    with pytest.raises(InputError, match="cannot be asked by 'next-tokens'"):
        FrozenTail(FeedForwardSite(model), tokenizer, readout="next-tokens")
    edited = pp.attach(model, tokenizer=tokenizer, memory=pp.MemoryTexts())
    with pytest.raises(EditError, match=r"edit 'e' in 'de': answer 'ba Ж'"):
        edited.edit([pp.Edit("e", {"en": "ba", "de": "be"}, {"en": "ko", "de": "ba Ж"})])
    edited.unload()
    for place in (model.config, model.generation_config):
        place.decoder_start_token_id = place.bos_token_id = None
    with pytest.raises(InputError, match="names no token that its decoder starts with"):
        tail_of(model=model, tokenizer=tokenizer)


@pytest.mark.parametrize("family", ["t5", "bart", "m2m_100"])
def test_a_fix_in_three_languages_is_loaded_with_its_checkpoint(family, tmp_path):
    model, tokenizer = decoder(family)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    edits = speaking_edits(1, seed=2)
    edited = pp.open(tmp_path / "model", memory=tiny_texts(8), encoding=ENCODING, recipe=ALL_LANGUAGES)
    prompts = list(edits[0].prompt.values())
    before = edited.predict(prompts)
    (outcome,) = pp.edit_stream(edited, edits)
    assert (outcome.success, outcome.languages) == (True, ("en", "de", "fr"))
    assert edited.predict(prompts) == list(edits[0].target.values())
    explained = edited.explain(prompts[1])
    assert (explained.answer.label, explained.unedited.label) == (edits[0].target["de"], before[1])
    assert explained.tokens[0].firing
    edited.save_pretrained(tmp_path / "edits")
    edited.unload()
    loaded = pp.EditedModel.from_pretrained(tmp_path / "edits", model=edited.model, tokenizer=edited.tokenizer)
    assert (loaded.readout.kind, loaded.readout.settings) == ("decoded-tokens", {"most": MOST, "chat": False})
    assert loaded.predict(prompts) == list(edits[0].target.values())
    loaded.revert(edits[0].id)
    assert loaded.predict(prompts) == before
    loaded.unload()
