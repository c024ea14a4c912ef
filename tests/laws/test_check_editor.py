"""Every recipe, and every editor on every model family, keeps the laws of `polypatch.testing.check_editor`."""

import dataclasses

import pytest

import polypatch as pp
from polypatch.editors import GRACE, MELO, CaliNet, DiscriminantPatch, FineTuning, LoRA, TPatcher
from polypatch.editors.widths import PUBLISHED_WIDTH
from polypatch.recipes import DEFAULT, RECIPES, Recipe
from polypatch.samplers import AllLanguages, OnlyLanguages, SourcePlusMapped, SourcePlusRandom
from polypatch.testing import check_editor, tiny_edits, tiny_texts
from polypatch.testing.tiny import FAMILIES
from polypatch.triggers import Trigger


def has_views(recipe):
    return isinstance(recipe.editor, TPatcher | FineTuning | LoRA)


def quick(recipe, views):
    """The recipe with small numbers: without views the full stopping rule, with views the one without validation."""
    if not has_views(recipe):
        return recipe
    changes = {"max_steps": 25, "learning_rate": 3e-3}
    if isinstance(recipe.editor, TPatcher):
        changes = {"max_steps": 40, "first_validation": 10, "validate_every": 5, "use_validation": not views}
    published = recipe.at(PUBLISHED_WIDTH).editor  # several copies of a text and of an edit, as on wide models
    return dataclasses.replace(recipe, editor=dataclasses.replace(published, views=views, **changes))


PARALLEL = {lang: tiny_texts(25, seed=i) for i, lang in enumerate(("en", "de", "fr", "th"), start=50)}


def check(tiny, family, recipe, **arguments):
    model, tokenizer = tiny(family)
    if isinstance(recipe.sampler, SourcePlusMapped):
        arguments["parallel"] = PARALLEL
    check_editor(recipe, model, tokenizer, tiny_edits(3), tiny_texts(40), **arguments)


EDITORS = {type(recipe.editor): name for name, recipe in RECIPES.items()}
"""One recipe of each editor: the last, which sees the most languages."""
CASES = [
    pytest.param(name, views, marks=() if views == most and name in {*EDITORS.values(), DEFAULT} else pytest.mark.slow)
    for name, recipe in RECIPES.items()
    for most in [4 if has_views(recipe) else 0]
    for views in sorted({0, most})
]


@pytest.mark.parametrize(("name", "views"), CASES)
def test_every_recipe_keeps_the_laws(tiny, name, views):
    check(tiny, "bert", quick(RECIPES[name], views))


@pytest.mark.slow
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "bert"])
@pytest.mark.parametrize("name", [*EDITORS.values(), DEFAULT])
def test_every_editor_keeps_the_laws_on_every_family(tiny, name, family):
    """An editor meets a family where it trains and where it is written; samplers and triggers never see one."""
    check(tiny, family, quick(RECIPES[name], 4))


SIX = Recipe(FineTuning(scope="layer"))
EXACT = {
    "six matrices": (SIX, 2),
    "six matrices, no views": (SIX, 0),
    "six matrices, two languages": (Recipe(FineTuning(scope="layer"), SourcePlusRandom(), Trigger.SAMPLED), 2),
    "t-patcher, no views": (RECIPES["t-patcher"], 0),
    "mpn-only": (RECIPES["mpn-only"], 2),
    "lora-mpn": (RECIPES["lora-mpn"], 2),
    "grace-mpn": (RECIPES["grace-mpn"], 0),
    "polypatch-linear": (RECIPES["polypatch-linear"], 0),
}


def exact(recipe, views):
    recipe = quick(recipe, views)
    changes = {"example_repeat": 2} if has_views(recipe) else {}
    return dataclasses.replace(recipe, editor=dataclasses.replace(recipe.editor, max_steps=20, **changes))


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_full_forward_passes_keep_the_laws(tiny, name):
    check(tiny, "xlm-roberta", exact(*EXACT[name]), encoding=pp.Encoding(exact=True))


@pytest.mark.slow
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "xlm-roberta"])
def test_six_matrices_keep_the_laws_on_every_family(tiny, family):
    """Each family calls its attention's four by other names."""
    check(tiny, family, exact(SIX, 2), encoding=pp.Encoding(exact=True))


PATCHER = TPatcher(memory_top=20)
VARIANTS = {
    "a far-reaching codebook": Recipe(GRACE(radius=1.5), AllLanguages(), Trigger.ANY),
    "a codebook, drawn from at every step": Recipe(GRACE(), SourcePlusRandom(), Trigger.SAMPLED),
    "far-reaching clusters": Recipe(MELO(radius=1.5), AllLanguages(), Trigger.ANY),
    "a scaled adapter of rank 3": Recipe(LoRA(rank=3, alpha=1.0), AllLanguages(), Trigger.ANY),
    "kl, of neurons": Recipe(CaliNet(kl_weight=0.5, kl_rows=8)),
    "kl": Recipe(FineTuning(kl_weight=0.5, kl_rows=8)),
    "one other language per edit": Recipe(PATCHER, SourcePlusRandom(k=1, redraw="per_edit"), Trigger.SAMPLED),
    "two other languages per step": Recipe(PATCHER, SourcePlusRandom(k=2), Trigger.SAMPLED),
    "all languages": Recipe(PATCHER, AllLanguages(), Trigger.ANY),
    "mapped, with what is there": Recipe(DiscriminantPatch(), SourcePlusMapped(k=None), Trigger.SAMPLED),
    "only German": Recipe(PATCHER, OnlyLanguages(("de",)), Trigger.SOURCE),
    "always": Recipe(PATCHER, SourcePlusRandom(), Trigger.ALWAYS),
    "no memory loss": Recipe(TPatcher(memory_weight=0.0)),
    "past edits unprotected": Recipe(TPatcher(memory_copies=0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_variants_keep_the_laws(tiny, name):
    check(tiny, "bert", quick(VARIANTS[name], 3))


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "gelu_new", "silu"])
def test_other_activations_keep_the_laws(activation):
    """The patch uses the FFN's own activation, whatever it is."""
    from polypatch.testing import tiny_model

    model, tokenizer = tiny_model("bert")
    model.config.hidden_act = activation
    rebuilt = type(model)(model.config)
    rebuilt.load_state_dict(model.state_dict())
    check_editor(quick(RECIPES["t-patcher"], 2), rebuilt.eval(), tokenizer, tiny_edits(3), tiny_texts(30))


@pytest.mark.slow
def test_a_model_in_train_mode_with_frozen_parts_comes_back_as_it_was(tiny):
    """requires_grad and train flags are the caller's: editing restores them as they were, not as it likes them."""
    from polypatch.testing import tiny_model

    model, tokenizer = tiny_model("bert")
    model.train()
    model.bert.encoder.layer[0].eval()
    model.bert.embeddings.requires_grad_(False)
    for name in ("mpn-all", "fine-tuning"):
        check_editor(quick(RECIPES[name], 2), model, tokenizer, tiny_edits(3), tiny_texts(30))


@pytest.mark.slow
def test_pairs_keep_the_laws(tiny):
    """(premise, hypothesis) pairs are texts too."""
    pairs = [
        dataclasses.replace(
            edit,
            prompt={lang: (text, f"pair {text}") for lang, text in edit.prompt.items()},
            rephrases={lang: tuple((text, "again") for text in texts) for lang, texts in edit.rephrases.items()},
        )
        for edit in tiny_edits(3)
    ]
    memory = [(text, text[::-1]) for text in tiny_texts(20)]
    for family in ("bert", "roberta"):
        model, tokenizer = tiny(family)
        check_editor(quick(RECIPES["mpn-only"], 2), model, tokenizer, pairs, memory)
