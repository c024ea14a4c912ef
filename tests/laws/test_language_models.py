"""The laws on language models: of every recipe, and of one recipe of each kind of delta on several architectures."""

import dataclasses

import pytest
import torch

import polypatch as pp
from polypatch.editors import (
    AMIG,
    EMMET,
    GRACE,
    IKE,
    KN,
    MALMEN,
    MELO,
    MEMIT,
    MEMOIR,
    MEND,
    PMET,
    ROME,
    SERAC,
    WISE,
    AlphaEdit,
    CaliNet,
    DiscriminantPatch,
    FineTuning,
    KnowledgeEditor,
    LoRA,
    MaskedKnowledgeEditor,
    MaskedMEND,
    NearestPatch,
    ReMaKE,
    SimIE,
    TPatcher,
    UltraEdit,
)
from polypatch.errors import UnsupportedModelError
from polypatch.recipes import DEFAULT, RECIPES, Recipe
from polypatch.samplers import AllLanguages, SourcePlusMapped
from polypatch.testing import check_editor, tiny_texts
from polypatch.testing.generated import check_generated
from polypatch.triggers import Trigger
from speaking import assert_lies_are_noticed, speaker, speaking_edits

SHORT = {"views": 0, "max_steps": 20, "learning_rate": 3e-3}
PARALLEL = {lang: tiny_texts(25, seed=i) for i, lang in enumerate(("en", "de", "fr"), start=50)}
SMALL = {
    TPatcher: {**SHORT, "first_validation": 10, "validate_every": 5},
    FineTuning: SHORT,
    LoRA: SHORT,
    GRACE: {"max_steps": 20},
    DiscriminantPatch: {"shrinkages": (0.03, 0.003), "places": (0.6,), "tolerance": 1, "max_steps": 10},
    NearestPatch: {"max_steps": 10},
    **{kind: {"max_steps": 5} for kind in (ROME, MEMIT, PMET, EMMET, AlphaEdit)},
    UltraEdit: {"scope": "ffn"},
    SimIE: {"base": ROME(max_steps=5)},
    KN: {"steps": 3},
    AMIG: {"steps": 2, "baselines": 2},
    WISE: {"max_steps": 10},
    MEMOIR: {"max_steps": 10},
    CaliNet: {"max_steps": 10},
    MELO: {"max_steps": 10},
    **{kind: {} for kind in (SERAC, IKE, ReMaKE)},
    **{kind: {"rate": 1.0} for kind in (MEND, MALMEN, KnowledgeEditor, MaskedMEND, MaskedKnowledgeEditor)},
}
"""Of every editor the settings that make it fast: no law asks that an edit takes."""
KINDS = {
    name: Recipe(kind(**SMALL[kind]), AllLanguages(), Trigger.ANY)
    for name, kind in {
        "patches": DiscriminantPatch,
        "nearest": NearestPatch,
        "codebook": GRACE,
        "factors": EMMET,
        "gradient-factors": UltraEdit,
        "ridge-factors": SimIE,
        "low-rank": LoRA,
        "side": WISE,
        "residual": MEMOIR,
        "extra": CaliNet,
        "blocks": MELO,
        "texts": IKE,
        "weights": FineTuning,
    }.items()
}
KINDS["nearest"] = dataclasses.replace(KINDS["nearest"], reads=(0,))
LAST = ("nearest", "texts")
"""Of these none edits a lower layer."""

QUICK = (DEFAULT,)
FAMILIES = ("gpt2", "llama", "qwen3", "gemma2", "bloom", "gpt_neox", "phi", "falcon", "mistral", "mixtral", "gptj")
SOON = ("gpt2", "bloom", "gemma2")


BRIEF = pp.Encoding(most=6)
"""A random model finds no end: what it writes is cut soon."""


def check(family, recipe, *, encoding=BRIEF, **arguments):
    memory = tiny_texts(12, seed=9)
    check_editor(recipe, *speaker(family), speaking_edits(3), memory, encoding=encoding, **arguments)


def quick(recipe):
    return dataclasses.replace(recipe, editor=dataclasses.replace(recipe.editor, **SMALL[type(recipe.editor)]))


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in RECIPES])
def test_every_recipe_keeps_the_laws(name):
    recipe = quick(RECIPES[name])
    mapped = {"parallel": PARALLEL} if isinstance(recipe.sampler, SourcePlusMapped) else {}
    check("gpt2", recipe, **mapped)


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_lives_its_whole_life(kind):
    check("llama", KINDS[kind])


@pytest.mark.parametrize("family", [pytest.param(f, marks=() if f in SOON else pytest.mark.slow) for f in FAMILIES])
def test_right_is_generated(family):
    """Learned positions, rotated ones, distances (ALiBi); sandwich norms, experts, parallel attention; under patches
    that fire everywhere."""
    model, tokenizer = speaker(family)
    edited = pp.attach(model, tokenizer=tokenizer, recipe="polypatch-linear", memory=tiny_texts(8), encoding=BRIEF)
    texts = [text for edit in speaking_edits(3) for text in edit.prompt.values()]
    before, generator = edited.predict(texts), torch.Generator().manual_seed(1)
    for owner in ("one", "two"):
        edited.delta.append(owner, *(torch.randn(size, generator=generator) for size in ((32,), (), (32,))))
    assert edited.predict(texts) != before
    check_generated(edited, [one for edit in speaking_edits(3) for one in edit.examples])
    edited.unload()


@pytest.mark.parametrize("family", ["gpt2", "bloom", "llama"])
def test_what_is_read_of_other_layers_is_read_while_a_model_writes(family):
    """Step by step with a key-value cache, and by a shell of the model."""
    model, tokenizer = speaker(family)
    recipe = Recipe(NearestPatch(), AllLanguages(), Trigger.ALWAYS, reads=(0, 1))
    edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(8), encoding=BRIEF, recipe=recipe)
    edits = speaking_edits(3)
    assert all(outcome.success for outcome in edited.edit(edits))
    examples = [one for edit in edits for one in edit.examples]
    check_generated(edited, examples)
    assert edited.predict([one.text for one in examples]) == [one.target for one in examples]
    edited.unload()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen3", "gemma2"])
def test_patches_keep_the_laws_on_another_architecture(family):
    check(family, KINDS["patches"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in LAST])
def test_below_the_last_layer_the_laws_are_the_same(kind):
    """Patches are trained ones there: no computed key tells this model's texts apart."""
    editor = TPatcher(**SMALL[TPatcher]) if kind == "patches" else KINDS[kind].editor
    few_texts("llama", dataclasses.replace(KINDS[kind], editor=editor, layer=0))


@pytest.mark.parametrize("kind", LAST)
def test_what_acts_by_nearness_edits_the_last_layer_alone(kind):
    with pytest.raises(UnsupportedModelError, match="leave layer= out"):
        few_texts("llama", dataclasses.replace(KINDS[kind], layer=0))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_full_forward_passes_keep_the_laws(kind):
    few = {"shrinkages": (0.03,), "max_steps": 5} if kind == "patches" else {}
    recipe = dataclasses.replace(KINDS[kind], editor=dataclasses.replace(KINDS[kind].editor, **few))
    few_texts("gpt2", recipe, encoding=dataclasses.replace(BRIEF, exact=True))


def few_texts(family, recipe, *, encoding=BRIEF):
    """Each look at them is a pass through the layers above, or through all of them."""
    edits = speaking_edits(2, ("en", "de"))
    check_editor(recipe, *speaker(family), edits, tiny_texts(6, seed=9), encoding=encoding)


@pytest.mark.slow
def test_a_chat_keeps_the_laws():
    model, tokenizer = speaker("llama", chat=True)
    check_editor(
        KINDS["patches"], model, tokenizer, speaking_edits(3), tiny_texts(12), encoding=pp.Encoding(chat=True, most=6)
    )


def test_what_is_wrong_is_noticed(monkeypatch):
    """A tail that calls everything right, and one that says other tokens than the model."""
    model, tokenizer = speaker()
    edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(12))
    examples = [one for edit in speaking_edits(2) for one in edit.examples]
    assert_lies_are_noticed(edited, examples, monkeypatch)
    edited.unload()


@pytest.mark.parametrize(
    ("family", "recipe"), [("gpt2", "polypatch-linear"), ("llama", "polypatch-linear"), ("llama", "polypatch")]
)
def test_generate_and_pipelines_give_the_edited_answers(family, recipe):
    """Padded, in batches, with beams and sampling; bare inside disabled()."""
    from transformers import pipeline

    model, tokenizer = speaker(family)
    edits = speaking_edits(3, seed=1)
    edited = pp.edit(model, edits, tokenizer=tokenizer, recipe=recipe, memory=tiny_texts(12, seed=9))
    assert any(outcome.patches for outcome in edited.outcomes.values())
    tokenizer.padding_side = "left"
    prompts = [text for edit in edits for text in edit.prompt.values()]
    wanted = edited.predict(prompts)
    write = pipeline("text-generation", model=edited.model, tokenizer=tokenizer, batch_size=4)
    how = {"return_full_text": False, "max_new_tokens": 32, "do_sample": False}
    assert [made[0]["generated_text"].strip() for made in write(prompts, **how)] == wanted
    batch = tokenizer(prompts, padding=True, return_tensors="pt")

    def generated(**how):
        torch.manual_seed(1)
        whole = model.generate(**batch, max_new_tokens=8, **how)[:, batch["input_ids"].shape[1] :]
        return tokenizer.batch_decode(whole, skip_special_tokens=True)

    ways = {"beams": {"num_beams": 3, "do_sample": False}, "sampled": {"do_sample": True, "top_k": 3}}
    now = {way: generated(**how) for way, how in ways.items()}
    with edited.disabled():
        bare = {way: generated(**how) for way, how in ways.items()}
    assert all(now[way] != bare[way] for way in ways)
    merged = edited.merge_and_unload() if family == "gpt2" else None  # in a gated layer is no place for patches
    edited.unload()
    assert {way: generated(**how) for way, how in ways.items()} == bare
    if merged is not None:
        model = merged
        assert {way: generated(**how) for way, how in ways.items()} == now
