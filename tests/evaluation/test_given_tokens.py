"""Perplexity and teacher-forced accuracy of an edited language model, against its own forward passes."""

from dataclasses import replace

import pytest
import torch

import polypatch as pp
from polypatch.data import EditingData
from polypatch.edits import Edit
from polypatch.errors import InputError
from polypatch.evaluation import evaluate, plain_text_perplexity, target_accuracy
from polypatch.runs.measured import measured
from polypatch.testing.tiny import tiny_model, tiny_texts
from speaking import ALL_LANGUAGES, decoder

EDITS = [
    Edit("a", {"en": "ba be bi", "de": "du da di", "fr": "lo"}, {"en": "ko ka ke", "de": "ki"}),
    Edit("b", {"en": "ra re"}, {"en": "to"}),
]
TEXTS = {"en": ["ba be bi ko ka", "mo mi"], "de": ["du da di ki ko"]}


@pytest.fixture(scope="module")
def edited():
    model, tokenizer = tiny_model("llama", "causal")
    made = pp.attach(model, tokenizer=tokenizer, memory={"en": tiny_texts(20), "de": tiny_texts(20, seed=1)})
    made.edit([Edit("a", {"en": "ba be bi", "de": "du da di"}, EDITS[0].target)])
    return made


def own_logits(edited, text):
    ids = torch.tensor([edited.tokenizer(text).input_ids])
    with torch.no_grad():
        return ids[0], edited.model(ids).logits[0].double().log_softmax(-1)


def own_perplexity(edited, texts):
    total = count = 0
    for text in texts:
        ids, logprobs = own_logits(edited, text)
        total += logprobs[:-1].gather(1, ids[1:, None]).sum().item()
        count += len(ids) - 1
    return torch.tensor(-total / count).exp().item()


def test_perplexity_is_that_of_the_models_own_passes(edited):
    found = plain_text_perplexity(edited, TEXTS)
    for lang, texts in TEXTS.items():
        with edited.disabled():
            before = own_perplexity(edited, texts)
        assert found[lang] == pytest.approx((before, own_perplexity(edited, texts)), rel=1e-4)
    assert found["en"][0] != found["en"][1]


def test_a_run_measures_the_perplexity_of_texts_that_no_memory_holds(edited):
    other = {lang: texts[:1] for lang, texts in TEXTS.items()}
    data = EditingData("made", tuple(EDITS[:1]), validation=other, held_out=TEXTS)
    assert measured(edited, EDITS[:1], data, {}).perplexity == plain_text_perplexity(edited, TEXTS)
    found = measured(edited, EDITS[:1], replace(data, held_out={}), {})
    assert found.perplexity == plain_text_perplexity(edited, other) != plain_text_perplexity(edited, TEXTS)
    assert found.teacher_forced == target_accuracy(edited, EDITS[:1])


def test_token_accuracy_is_that_of_the_models_own_passes(edited):
    found = target_accuracy(edited, EDITS)
    assert found.keys() == {"en", "de"}  # in French there is no target
    ids, logprobs = own_logits(edited, "du da di ki")
    assert found["de"][1] == 100.0 * (logprobs[-2].argmax() == ids[-1])
    assert found["en"][0] == 0
    assert found["en"][1] in (50, 100)  # of edit a all, whatever of b, which was not made


def test_what_is_right_when_generated_is_right_when_forced(edited):
    report = evaluate(edited, EDITS[:1])
    assert report.reliability == report.clg["de"] == 100
    assert {after for _, after in target_accuracy(edited, EDITS[:1]).values()} == {100}
    assert report.left_out == {"no_target_in_language": 1}


def test_of_a_model_with_an_encoder_the_decoder_is_shown_the_target():
    """Against the edited model's own pass, of targets that it says wholly, in part and not; no plain text follows."""
    model, tokenizer = decoder("bart")
    edit = Edit("a", {"en": "ba be bi"}, {"en": "ko ka ke"})
    made = pp.edit(model, [edit], tokenizer=tokenizer, memory=tiny_texts(5), recipe=ALL_LANGUAGES)
    assert made.predict("ba be bi") == "ko ka ke"
    for answer in ("ko ka ke", "ko ka bi", "ko lu ke", "lu"):
        (target,) = tokenizer(text_target=[answer], add_special_tokens=False).input_ids
        with torch.no_grad():
            begun = [*made.readout.begun, *target[:-1]]
            logits = model(
                torch.tensor([tokenizer("ba be bi").input_ids]), decoder_input_ids=torch.tensor([begun])
            ).logits
        right = logits[0, -len(target) :].argmax(-1) == torch.tensor(target)
        assert target_accuracy(made, [Edit("b", edit.prompt, {"en": answer})])["en"][1] == pytest.approx(
            float(100 * right.double().mean())
        )
    with pytest.raises(InputError, match="does not go on with a text from left to right"):
        plain_text_perplexity(made, TEXTS)


@pytest.mark.parametrize("head", ["classifier", "masked"])
def test_what_does_not_write_is_refused(head):
    model, tokenizer = tiny_model("bert", head)
    silent = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(5))
    for measure, given in ((plain_text_perplexity, TEXTS), (target_accuracy, EDITS)):
        with pytest.raises(InputError, match="from left to right"):
            measure(silent, given)
