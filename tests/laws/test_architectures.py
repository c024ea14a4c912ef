"""One recipe of each kind of delta through the whole life of an edit, on models of every build that discovery knows."""

import dataclasses
import warnings

import pytest
import torch

import polypatch as pp
from polypatch.editors import (
    EMMET,
    GRACE,
    IKE,
    MELO,
    MEMOIR,
    WISE,
    CaliNet,
    DiscriminantPatch,
    FineTuning,
    LoRA,
    NearestPatch,
    SimIE,
    UltraEdit,
)
from polypatch.errors import InputError, PolypatchWarning, UnsupportedModelError
from polypatch.recipes import Recipe
from polypatch.samplers import AllLanguages
from polypatch.sites import UNCHANGED, FeedForwardSite, FrozenTail, FullForward
from polypatch.testing import check_editor, tiny_edits, tiny_model, tiny_texts
from polypatch.triggers import Trigger

FEW = DiscriminantPatch(shrinkages=(0.03,), places=(0.6,), tolerance=1, max_steps=5)
"""Few looks at the memory: each is a full forward pass of all that fires."""

SHORT = {"views": 2, "max_steps": 25, "learning_rate": 3e-3}
KINDS = {
    "patches": Recipe(DiscriminantPatch(), AllLanguages(), Trigger.ANY),
    "codebook": Recipe(GRACE(max_steps=20), AllLanguages(), Trigger.ANY),
    "nearest": Recipe(NearestPatch(), AllLanguages(), Trigger.ALWAYS),
    "factors": Recipe(EMMET(), AllLanguages(), Trigger.ANY),
    "gradient-factors": Recipe(UltraEdit(scope="ffn"), AllLanguages(), Trigger.ANY),
    "ridge-factors": Recipe(SimIE(base=UltraEdit(scope="ffn")), AllLanguages(), Trigger.ANY),
    "side": Recipe(WISE(max_steps=20), AllLanguages(), Trigger.ANY),
    "blocks": Recipe(MELO(max_steps=20), AllLanguages(), Trigger.ANY),
    "extra": Recipe(CaliNet(max_steps=20), AllLanguages(), Trigger.ANY),
    "residual": Recipe(MEMOIR(), AllLanguages(), Trigger.ANY),
    "texts": Recipe(IKE(shots=2), AllLanguages(), Trigger.ANY),
    "low-rank": Recipe(LoRA(**SHORT), AllLanguages(), Trigger.ANY),
    "weights": Recipe(FineTuning(**SHORT), AllLanguages(), Trigger.ANY),
}
BUILDS = ["deberta-v2", "modernbert", "llama", "qwen2", "qwen3", "gemma2", "gpt2", "bart", "albert", "xlm"]
"""Beside those like BERT. Pre-norm, gated, sandwich norms, matrices that are transposed, a decoder of two, shared
layers, layers that are no module of their own; the last token is read by half of them."""

WHOLE = {"deberta-v2", "modernbert", "llama", "qwen3", "gemma2"}
"""Of these every kind of delta is tried; of the others patches alone."""

REFUSED = {("gemma2", "texts")}
"""Where the output is normed before it is added, no other output gives what a model says behind a fact."""

QUICK = {("llama", kind) for kind in KINDS} | {
    ("modernbert", "patches"),
    ("gemma2", "weights"),
    ("gpt2", "low-rank"),
    ("gpt2", "side"),
    ("gpt2", "residual"),
    ("gpt2", "extra"),
    ("gpt2", "blocks"),
    ("albert", "patches"),
}


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        pytest.param(build, kind, marks=() if (build, kind) in QUICK else pytest.mark.slow)
        for build in BUILDS
        for kind in KINDS
        if build in WHOLE or kind == "patches" or (build, kind) in QUICK
        if (build, kind) not in REFUSED
    ],
)
def test_an_edit_lives_its_whole_life(tiny, build, kind):
    model, tokenizer = tiny(build)
    check_editor(KINDS[kind], model, tokenizer, tiny_edits(3), tiny_texts(40))


@pytest.mark.parametrize("build", [*BUILDS, "minicpm3", "mixtral", "t5", "electra"])
def test_the_tail_is_the_model(tiny, build, figure):
    """Unchanged and under a neuron that fires everywhere, alone and beside longer texts; the cache gives no less."""
    model, tokenizer = tiny(build)
    tail = FrozenTail(FeedForwardSite(model), tokenizer)
    rows = tail.readout.rows([*tiny_texts(12, seed=2), "ba", "ba be bi bo bu " * 8])
    generator = torch.Generator().manual_seed(3)
    key, value = torch.randn(2, tail.site.hidden_size, generator=generator)

    def neuron(q, out):
        return out + torch.nn.functional.gelu(q @ key / 6 + 1).unsqueeze(-1) * value

    neuron.overrides = {}
    worst = 0.0
    for change in (UNCHANGED, neuron):
        full = tail.encoder.full_logits(rows, change)
        worst = max(worst, float((tail.logits(rows, change) - full).abs().max() / full.abs().max()))
    assert float((full - tail.logits(rows, UNCHANGED)).abs().max()) > 0.01
    figure(f"tail against full forward, {build}, largest difference by the largest logit", worst)
    assert worst < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "texts"])
def test_an_answer_of_several_positions_is_edited_by_full_passes(kind):
    """EuroBERT's mean over all tokens: each gets what the first one gets, which no merged checkpoint would do."""
    model, tokenizer = tiny_model("eurobert", hidden=8, layers=1)
    recipe = dataclasses.replace(KINDS[kind], editor=FEW) if kind == "patches" else KINDS[kind]
    check_editor(recipe, model, tokenizer, tiny_edits(2), tiny_texts(8), encoding=pp.Encoding(exact=True))


def test_what_has_no_tail_is_edited_by_full_passes_and_says_so():
    model, tokenizer = tiny_model("eurobert")
    with pytest.warns(PolypatchWarning, match=r"reads several positions .*; it is edited by full forward passes"):
        edited = pp.attach(model, tokenizer=tokenizer, memory=pp.MemoryTexts(), recipe="t-patcher")
    assert isinstance(edited.tail, FullForward)
    assert edited.config["exact"]
    edited.unload()


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_last_token_is_found_on_whichever_side_the_padding_is(side):
    """What serves an edited decoder pads as it likes; a text alone, and among longer ones, has one answer."""
    model, tokenizer = tiny_model("llama")
    texts = [text for edit in tiny_edits(4) for text in edit.prompt.values()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PolypatchWarning)
        edited = pp.edit(model, tiny_edits(4), tokenizer=tokenizer, memory=tiny_texts(30))
    alone = edited.probabilities(texts)
    batch = tokenizer(texts, padding=True, padding_side=side, return_tensors="pt")
    if side == "left":  # as pipelines do: positions count from the first token
        batch["position_ids"] = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        together = model(**batch).logits.softmax(-1)
        named = model(batch["input_ids"], batch["attention_mask"]).logits.softmax(-1) if side == "right" else together
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(named, alone, atol=1e-5, rtol=1e-4)
    assert any(outcome.patches for outcome in edited.outcomes.values())
    edited.unload()


def one_logit(**labels):
    model, tokenizer = tiny_model("bert", classes=1)
    if labels:
        model.config.id2label = {0: labels["name"]}
    else:
        model.config.id2label = {0: "LABEL_0"}
    return model, tokenizer


def test_a_head_with_one_logit_has_two_classes():
    """σ(z) > ½ is the second: softmax of (0, z)."""
    model, tokenizer = one_logit()
    edited = pp.attach(model, tokenizer=tokenizer, recipe="polypatch-linear", memory=pp.MemoryTexts())
    text = "en ba be"
    with torch.no_grad():
        z = model(**tokenizer(text, return_tensors="pt")).logits[0, 0]
    wrong = "LABEL_0" if z > 0 else "LABEL_1"
    assert edited.predict(text) != wrong
    assert float(edited.probabilities([text])[0, 1]) == pytest.approx(float(z.sigmoid()), abs=1e-6)
    (outcome,) = pp.edit_stream(edited, [(text, wrong)])
    assert outcome.success
    assert edited.predict(text) == wrong
    edited.unload()


@pytest.mark.slow
def test_a_head_with_one_logit_keeps_the_laws():
    model, tokenizer = one_logit(name="class-1")
    model.config.id2label = {0: "class-1"}
    edits = [pp.Edit(f"e{i}", {"en": f"en {i} ba"}, {"en": name}) for i, name in enumerate(("class-1", "not class-1"))]
    check_editor(KINDS["patches"], model, tokenizer, edits, tiny_texts(20))


@pytest.mark.parametrize("kind", ["regression", "multi_label_classification"])
def test_what_gives_no_one_class_is_refused_by_name(kind):
    model, _ = one_logit()
    model.config.problem_type = kind
    with pytest.raises(UnsupportedModelError, match=kind):
        FeedForwardSite(model)


def test_patches_in_a_gated_layer_are_not_merged_and_say_so():
    model, tokenizer = tiny_model("llama")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PolypatchWarning)
        edited = pp.edit(model, tiny_edits(3), tokenizer=tokenizer, recipe="polypatch-linear", memory=tiny_texts(30))
    with pytest.raises(InputError, match=r"gated or of experts.*save_pretrained"):
        edited.merge_and_unload()
    edited.unload()


def test_low_rank_updates_of_experts_are_refused():
    pytest.importorskip("peft")
    model, tokenizer = tiny_model("mixtral")
    with pytest.raises(UnsupportedModelError, match="layers without experts"):
        pp.attach(model, tokenizer=tokenizer, memory=pp.MemoryTexts(), recipe="lora")


def test_an_anatomy_by_hand_names_modules_that_are_there():
    model, _ = tiny_model("bert")
    found = FeedForwardSite(model).anatomy
    fields = {name: getattr(found, name) for name in type(found).__slots__}
    assert FeedForwardSite(model, anatomy=type(found)(**fields)).anatomy == found
    with pytest.raises(InputError, match=r"anatomy: .* has no module 'bert\.nowhere'"):
        FeedForwardSite(model, anatomy=type(found)(**{**fields, "writer": "bert.nowhere"}))
