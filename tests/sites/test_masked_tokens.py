"""What a masked language model is asked: as many masks in a gap as the answer has tokens; every length is tried."""

import pytest
import torch

import polypatch as pp
from polypatch.errors import EditError, InputError
from polypatch.evaluation.spelling import Spelling
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail
from polypatch.sites.readouts.readout import ReadoutSettings
from polypatch.testing import tiny_model, tiny_texts
from speaking import ALL_LANGUAGES, speaking_edits, with_gaps

FAMILIES = ["bert", "xlm-roberta", "modernbert", "deberta-v2"]
PARTS = [("ba be", "bobi"), ("", "ko lu"), ("lu la ki ko mu ma", ""), ("re 9", "so mi ka")]


def tail_of(family="bert", **asked):
    model, tokenizer = tiny_model(family, "masked")
    return FrozenTail(FeedForwardSite(model), tokenizer, readout=ReadoutSettings(**asked))


def gaps(tokenizer):
    return [f"{before} {tokenizer.mask_token} {after}".strip() for before, after in PARTS]


@torch.no_grad()
def filled(model, tokenizer, texts, count):
    """(tokens, mean log-probability) of each gap with so many masks, by the model's own pass, in one batch."""
    texts = [text.replace(tokenizer.mask_token, " ".join([tokenizer.mask_token] * count)) for text in texts]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    sure, ids = model(**batch).logits.double().log_softmax(-1).max(-1)
    masks = batch["input_ids"] == tokenizer.mask_token_id
    return [(tuple(i[m].tolist()), float(s[m].mean())) for i, s, m in zip(ids, sure, masks, strict=True)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_filling_is_the_models_own(family):
    tail = tail_of(family)
    model, tokenizer, readout = tail.site.model, tail.encoder.tokens.tokenizer, tail.readout
    texts = gaps(tokenizer)
    ways = list(zip(*(filled(model, tokenizer, texts, count) for count in range(1, 6)), strict=True))
    best = [max(way, key=lambda one: one[1])[0] for way in ways]
    rows = tail.answer_rows(texts, UNCHANGED)
    assert [tuple(tail.said(own, UNCHANGED).ids.tolist()) for own in rows] == best
    assert tail.predict(texts, UNCHANGED).answers == [readout.answer(ids) for ids in best]
    alone = [tail.predict([text], UNCHANGED) for text in texts]
    assert [one.answers[0] for one in alone] == [readout.answer(ids) for ids in best]
    sure = torch.cat([one.probability for one in alone])
    torch.testing.assert_close(tail.predict(texts, UNCHANGED).probability, sure, atol=1e-6, rtol=1e-5)
    assert len({len(ids) for ids in best}) > 1


@pytest.mark.parametrize("family", FAMILIES)
def test_right_is_what_is_filled_in(family):
    """Whatever is said of one and two masks is right, and nothing else; and asking for its text asks for it."""
    tail = tail_of(family)
    model, tokenizer, readout = tail.site.model, tail.encoder.tokens.tokenizer, tail.readout
    asked_for = 0
    for text in [*gaps(tokenizer), *(f"{text} {tokenizer.mask_token}" for text in tiny_texts(30))]:
        for count in (1, 2):
            ((ids, _),) = filled(model, tokenizer, [text], count)
            answer = readout.answer(ids)
            plain = tuple(tokenizer(answer, add_special_tokens=False)["input_ids"]) == ids
            if not plain or any(one in tokenizer.all_special_ids for one in ids):
                continue  # no text is cut so
            asked_for += 1
            (question,) = readout.ask([text], [answer])
            assert question.wanted == ids
            assert tail.right([question], UNCHANGED) == [True]
            (other,) = readout.ask([text], [" ".join(["ko"] * count)])
            assert tail.right([other], UNCHANGED) == [other.wanted == ids]
    assert asked_for


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_has_as_many_masks_as_tokens_where_it_stands(family):
    tail = tail_of(family)
    tokenizer, readout = tail.encoder.tokens.tokenizer, tail.readout
    text = f"ba be {tokenizer.mask_token} bobi"
    (question,) = readout.ask([text], ["ko kiki"])
    spelled = tokenizer("ba be ko kiki bobi")["input_ids"]
    first = question.rows[0].place
    assert question.wanted == tuple(spelled[first : first + len(question.rows)])
    assert [row.place for row in question.rows] == list(range(first, first + len(question.rows)))
    (tokens,) = {row.tokens for row in question.rows}
    assert [one for one in tokens if one != readout.mask] == [*spelled[:first], *spelled[first + len(question.rows) :]]
    (single,) = readout.rows([text])
    assert (single.place, single.tokens.count(readout.mask)) == (first, 1)
    (mapped,) = readout.ask([text], ["ko kiki"], ["de"])
    assert (mapped.rows[0].origin, mapped.wanted) == (question.rows[0], question.wanted[:1])


def test_an_answer_that_runs_into_its_neighbours_is_cut_alone():
    """What stands there then is one word, of other pieces: the model could not fill in half of it."""
    tail = tail_of()
    (question,) = tail.readout.ask(["ko [MASK]ba"], ["be"])
    assert tail.readout.answer(question.wanted) == "be"
    assert len(question.rows) == 1


def test_a_pair_has_its_gap_in_either_text():
    tail = tail_of()
    for pair in (("ba [MASK]", "ko"), ("ba", "ko [MASK]")):
        (question,) = tail.readout.ask([pair], ["be bi"])
        (row, _) = question.rows
        assert len(row.context) == len(row.tokens)
        assert row.context[row.place] == pair.index(next(part for part in pair if "[MASK]" in part))
        assert tail.readout.answer(question.wanted) == "be bi"


def test_what_is_kept_of_a_text_are_its_masks_or_all_its_tokens():
    tail = tail_of()
    tokenizer = tail.encoder.tokens.tokenizer
    plain, gap, two = tail.readout.keep(["ba be bobi", "ba [MASK] be", "[MASK] ba [MASK]"])
    ids = tokenizer("ba be bobi")["input_ids"]
    assert [(row.tokens, row.place) for row in plain] == [(tuple(ids), i) for i in range(1, len(ids) - 1)]
    assert [row.place for row in gap] == [2]
    assert [row.place for row in two] == [1, 3]
    spoken = tail.predict(["ba be bobi", "[MASK] ba [MASK]"], UNCHANGED)
    said = [tail.readout.answer(tail.said(rows, UNCHANGED).ids.tolist()) for rows in (plain, two)]
    assert spoken.answers == said
    assert tail.readout.keep([""])[0]  # nothing but marks: something has to stand for it


def test_what_cannot_be_asked_is_refused_by_name():
    model, tokenizer = tiny_model("bert", "masked")
    readout = FrozenTail(FeedForwardSite(model), tokenizer).readout
    for text, answer, why in (
        ("ba be", "ko", r"'ba be' has \[MASK\] 0 times: a prompt has it once"),
        ("[MASK] ba [MASK]", "ko", r"has \[MASK\] 2 times"),
        ("ba " * 70 + "[MASK]", "ko", r"has \[MASK\] beyond the 60 tokens that are read"),
        ("ba [MASK]", "", "is 0 tokens long"),
        ("ba [MASK]", "ba be bi bo bu ko", "is 6 tokens long, and an answer has 1 to 5"),
        ("ba [MASK]", "Ж", "which the tokenizer does not know"),
        ("ba [MASK]", "ba [SEP]", r"mark '\[SEP\]' in it"),
    ):
        with pytest.raises(InputError, match=why):
            readout.ask([text], [answer])
    with pytest.raises(InputError, match="chat=True, and BertForMaskedLM"):
        FrozenTail(FeedForwardSite(model), tokenizer, readout=ReadoutSettings(chat=True))
    edited = pp.attach(model, tokenizer=tokenizer, memory=pp.MemoryTexts())
    with pytest.raises(EditError, match=r"edit 'e' in 'en': 'ba' has \[MASK\] 0 times"):
        edited.edit([pp.Edit("e", {"en": "ba"}, {"en": "ko"})])
    edited.unload()
    tokenizer.mask_token = None
    with pytest.raises(InputError, match="has no mask_token"):
        FrozenTail(FeedForwardSite(model), tokenizer)


def test_an_answer_is_also_right_as_the_tokenizer_spells_it():
    spelling = Spelling(tail_of().readout)
    assert spelling(["Ba  Bé", "ko", "ba [SEP]"]) == ("Ba  Bé", "ba be", "ko", "ba [SEP]")


def test_a_text_that_is_cut_leaves_room_for_every_mask():
    tail = tail_of(most=8)
    text = "[MASK] " + "ba " * 80
    assert tail.readout.is_cut(text)
    assert not tail.readout.is_cut("[MASK] ba")
    assert len(tail.readout.ask([text], ["ko " * 8])[0].rows[0].tokens) == tail.encoder.tokens.max_length
    assert max(len(rows[0].tokens) for rows in tail.readout._ways(text)) == tail.encoder.tokens.max_length


@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_a_fix_in_three_languages_is_loaded_with_its_checkpoint(family, tmp_path):
    model, tokenizer = tiny_model(family, "masked")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (edit,) = with_gaps(speaking_edits(1, seed=2), tokenizer)
    edited = pp.open(tmp_path / "model", memory=tiny_texts(8), recipe=ALL_LANGUAGES)
    prompts = list(edit.prompt.values())
    before = edited.predict(prompts)
    (outcome,) = pp.edit_stream(edited, [edit])
    assert (outcome.success, outcome.languages) == (True, ("en", "de", "fr"))
    for lang, text in edit.prompt.items():
        (question,) = edited.ask([edit.example(lang)])
        ((ids, _),) = filled(edited.model, edited.tokenizer, [text], len(question.wanted))
        assert ids == question.wanted
    after = edited.predict(prompts)
    assert list(edited.answers_before_after(prompts).after) == after
    edited.save_pretrained(tmp_path / "edits")
    edited.unload()
    loaded = pp.EditedModel.from_pretrained(tmp_path / "edits", model=edited.model, tokenizer=edited.tokenizer)
    assert (loaded.readout.kind, loaded.readout.most) == ("masked-tokens", 5)
    assert loaded.predict(prompts) == after != before
    loaded.revert(edit.id)
    assert loaded.predict(prompts) == before
    loaded.unload()
