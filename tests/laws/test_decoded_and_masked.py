"""The laws on models that write about a text, and on those that fill gaps."""

import dataclasses

import pytest

import polypatch as pp
from polypatch.editors import GRACE, DiscriminantPatch, FineTuning, NearestPatch, TPatcher
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import AllLanguages
from polypatch.testing import check_editor, tiny_model, tiny_texts
from polypatch.triggers import Trigger
from speaking import assert_lies_are_noticed, decoder, speaking_edits, with_gaps

SHORT = {"views": 0, "max_steps": 10, "learning_rate": 3e-3}
FEW = DiscriminantPatch(shrinkages=(0.03,), places=(0.6,), tolerance=1, max_steps=5)
PATCHES = Recipe(FEW, AllLanguages(), Trigger.ANY)
KINDS = {
    "patches": PATCHES,
    "codebook": Recipe(GRACE(max_steps=10), AllLanguages(), Trigger.ANY),
    "nearest": Recipe(NearestPatch(max_steps=10), AllLanguages(), Trigger.ALWAYS),
    "weights": Recipe(FineTuning(**SHORT), AllLanguages(), Trigger.ANY),
    "mpn": dataclasses.replace(RECIPES["mpn-all"], editor=TPatcher(first_validation=5, validate_every=5, **SHORT)),
    "below": dataclasses.replace(PATCHES, layer=0),
}
ENCODING = pp.Encoding(most=4)
FAMILIES = [("t5", "seq2seq"), ("bart", "seq2seq"), ("m2m_100", "seq2seq")]
FAMILIES += [(family, "masked") for family in ("bert", "xlm-roberta", "modernbert", "deberta-v2")]
QUICK = {("bart", "patches"), ("bert", "patches")}


def asked(family, head, n=2):
    """A model, its tokenizer and edits of it."""
    edits = speaking_edits(n, ("en", "de"))
    if head == "seq2seq":
        return *decoder(family), edits
    model, tokenizer = tiny_model(family, head)
    return model, tokenizer, with_gaps(edits, tokenizer)


CASES = [(family, head, "patches") for family, head in FAMILIES]
CASES += [(family, head, kind) for family, head in (FAMILIES[0], FAMILIES[3]) for kind in KINDS if kind != "patches"]


@pytest.mark.parametrize(
    ("family", "head", "kind"),
    [pytest.param(*case, marks=() if (case[0], case[2]) in QUICK else pytest.mark.slow) for case in CASES],
)
def test_an_edit_lives_its_whole_life(family, head, kind):
    model, tokenizer, edits = asked(family, head)
    check_editor(KINDS[kind], model, tokenizer, edits, tiny_texts(5, seed=9), encoding=ENCODING)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "head"), [("t5", "seq2seq"), ("bert", "masked")])
def test_full_forward_passes_keep_the_laws(family, head):
    model, tokenizer, edits = asked(family, head)
    encoding = dataclasses.replace(ENCODING, exact=True)
    check_editor(PATCHES, model, tokenizer, edits, tiny_texts(5, seed=9), encoding=encoding)


@pytest.mark.parametrize(("family", "head"), [("t5", "seq2seq"), ("xlm-roberta", "masked")])
def test_what_is_wrong_is_noticed(family, head, monkeypatch):
    """A tail that calls everything right, and one that says other tokens than the model."""
    model, tokenizer, edits = asked(family, head)
    edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(5), encoding=ENCODING)
    examples = [one for edit in edits for one in edit.examples]
    assert_lies_are_noticed(edited, examples, monkeypatch)
    edited.unload()
