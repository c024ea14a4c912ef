"""The table: every row is a method with published defaults, and unknown names are refused with the names there are."""

import dataclasses
import json

import pytest

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
    Editor,
    FineTuning,
    KnowledgeEditor,
    LoRA,
    MaskedKnowledgeEditor,
    MaskedMEND,
    ReMaKE,
    SimIE,
    TPatcher,
    UltraEdit,
)
from polypatch.editors.widths import fitted, settings_for
from polypatch.errors import UnknownRecipeError
from polypatch.plain_recipes import recipe_from_plain, recipe_to_plain
from polypatch.recipes import RECIPES, Recipe, recipe_named
from polypatch.samplers import AllLanguages, OnlyLanguages, SourceOnly, SourcePlusRandom
from polypatch.triggers import Trigger

REWRITERS = {"rome": ROME(), "memit": MEMIT(), "pmet": PMET(), "emmet": EMMET(), "alphaedit": AlphaEdit()}
REWRITERS |= {"ultraedit": UltraEdit(), "kn": KN(), "amig": AMIG(), "simie-rome": SimIE()}
BESIDE = {"melo": MELO(), "calinet": CaliNet(), "wise": WISE(), "memoir": MEMOIR()}
TRAINED = {"mend": MEND(), "malmen": MALMEN(), "ke": KnowledgeEditor()}
READ = {"serac": SERAC(), "ike": IKE(), "remake": ReMaKE()}
OTHERS = {"fine-tuning": FineTuning(), "lora": LoRA(), "grace": GRACE(), **REWRITERS, **BESIDE, **TRAINED, **READ}


def test_the_four_published_methods():
    """MPN changes only what is sampled and when an edit is needed; the editor is Transformer-Patcher's."""
    assert RECIPES["t-patcher"].editor == RECIPES["mpn-only"].editor == RECIPES["mpn-all"].editor == TPatcher()
    assert RECIPES["t-patcher"].sampler == RECIPES["fine-tuning"].sampler == SourceOnly()
    assert RECIPES["mpn-only"].sampler == RECIPES["mpn-all"].sampler == SourcePlusRandom(k=1)
    assert {name: row.trigger for name, row in RECIPES.items() if row.paper} == {
        "fine-tuning": Trigger.SOURCE,
        "t-patcher": Trigger.SOURCE,
        "mpn-only": Trigger.SAMPLED,
        "mpn-all": Trigger.ANY,
        "mpn-only-once": Trigger.SAMPLED,
        "mpn-all-once": Trigger.ANY,
        "lora": Trigger.SOURCE,
        "grace": Trigger.SOURCE,
        **dict.fromkeys((*REWRITERS, *BESIDE, *TRAINED, *READ), Trigger.SOURCE),
        "lime-mend": Trigger.ANY,
        "lime-ke": Trigger.ANY,
    }
    assert [name for name, row in RECIPES.items() if not row.paper] == [
        *("fine-tuning-mpn", "lora-mpn", "grace-mpn"),
        *(f"{name}-mpn" for name in (*REWRITERS, *BESIDE, *TRAINED, *READ)),
        *("polypatch", "polypatch-one", "polypatch-mapped"),
        *("polypatch-linear", "polypatch-linear-one", "polypatch-linear-one-mapped", "polypatch-linear-mapped"),
        "polypatch-linear-both",
    ]


def test_one_draw_per_edit_has_a_name_of_its_own():
    for name in ("mpn-only", "mpn-all"):
        once = RECIPES[f"{name}-once"]
        assert RECIPES[name] == dataclasses.replace(once, sampler=SourcePlusRandom(k=1))
        assert once.sampler.redraw == "per_edit"


@pytest.mark.parametrize(("name", "editor"), OTHERS.items())
def test_mpn_changes_two_of_five_answers_of_any_editor(name, editor):
    """The sampler and the trigger; drawn once per edit, so that languages seen and unseen can be told apart."""
    assert RECIPES[name].editor == RECIPES[f"{name}-mpn"].editor == editor
    assert (RECIPES[name].sampler, RECIPES[name].trigger) == (SourceOnly(), Trigger.SOURCE)
    mpn = RECIPES[f"{name}-mpn"]
    assert (mpn.sampler, mpn.trigger) == (SourcePlusRandom(k=1, redraw="per_edit"), Trigger.ANY)


def test_lime_is_two_editors_with_a_mask_and_mpn_s_draw():
    """Its mask is by language, so that one language alone would have one mask."""
    for name, masked, plain in (("lime-mend", MaskedMEND, "mend-mpn"), ("lime-ke", MaskedKnowledgeEditor, "ke-mpn")):
        assert RECIPES[name] == dataclasses.replace(RECIPES[plain], editor=masked(), paper=RECIPES[name].paper)
        assert masked() == masked(**dataclasses.asdict(RECIPES[plain].editor) | {"masked": True})


def test_defaults_are_the_released_code_s():
    """Transformer-Patcher for FEVER, commit 93ff458; fine-tuning as in its ft.py."""
    published = {
        "learning_rate": 1e-2, "weight_decay": 0.01, "clip_norm": 5.0, "max_steps": 2000, "validate_every": 25,
        "first_validation": 100, "min_gain": 1e-3, "use_validation": True, "plateau_factor": 0.5,
        "plateau_threshold": 0.05, "example_repeat": 8, "amplification": 10.0, "entropy_weight": 0.1,
        "activation_weight": 1.0, "activation_top": 5, "activation_margin": 0.0, "memory_weight": 5.0,
        "memory_top": 1000, "edit_margin": 3.0, "memory_margin": 3.0, "memory_copies": 8, "max_tokens": 5,
    }  # fmt: skip
    for width in (768, 1024):
        assert dataclasses.asdict(fitted(TPatcher(), width)) == {**published, "views": 16}
        assert fitted(FineTuning(), width).views == fitted(LoRA(), width).views == 16
    tuning = FineTuning()
    assert (tuning.learning_rate, tuning.max_steps, tuning.example_repeat, tuning.kl_weight) == (1e-5, 2000, 8, 0.0)
    assert tuning.scope == "ffn"


SMALL = {"views": 0, "example_repeat": 1, "first_validation": 30, "validate_every": 10}


@pytest.mark.parametrize(
    ("width", "settings"),
    [
        (128, {**SMALL, "learning_rate": 0.06, "memory_copies": 1, "max_steps": 300}),
        (256, {**SMALL, "learning_rate": 0.03, "memory_copies": 8, "max_steps": 200}),
        (384, {**SMALL, "learning_rate": 0.02, "memory_copies": 8, "max_steps": 200}),
    ],
)
def test_narrow_models_get_settings_that_were_measured_on_such(width, settings):
    """What the experiments on the world (128) and on MASSIVE (256) pass; between them the rate follows the width."""
    published = dataclasses.asdict(fitted(TPatcher(), 768))
    assert dataclasses.asdict(fitted(TPatcher(), width)) == {**published, **settings}


def test_a_setting_that_is_given_is_taken_on_any_model():
    given = TPatcher(**settings_for(768))
    assert fitted(given, 32) is given
    assert fitted(TPatcher(views=16), 128) == dataclasses.replace(fitted(TPatcher(), 128), views=16)


@pytest.mark.parametrize("row", RECIPES.values(), ids=RECIPES)
def test_hyper_parameters_are_frozen_keyword_only_and_defaulted(row):
    editor: Editor = row.editor
    fields = dataclasses.fields(editor)
    assert all(field.kw_only and field.default is not dataclasses.MISSING for field in fields)
    assert hash(editor) == hash(dataclasses.replace(editor))
    with pytest.raises(dataclasses.FrozenInstanceError):
        editor.max_steps = 1
    assert type(editor)() == editor


def test_unknown_names_are_refused():
    assert recipe_named("mpn-all") is RECIPES["mpn-all"]
    assert recipe_named("rome-all") == dataclasses.replace(RECIPES["rome-mpn"], sampler=AllLanguages())
    for unknown in ("polypatch-all", "-all", "rome-mpn-all"):
        with pytest.raises(UnknownRecipeError, match="NAME-all beside every NAME-mpn"):
            recipe_named(unknown)
    with pytest.raises(UnknownRecipeError, match=r"'mpn'.*fine-tuning, t-patcher, mpn-only, mpn-all"):
        recipe_named("mpn")


def test_a_file_from_before_confidence_was_a_setting_goes_on_as_it_was_made():
    plain = recipe_to_plain(RECIPES["polypatch-linear"])
    assert recipe_from_plain(plain) == RECIPES["polypatch-linear"]
    del plain["editor"]["confidence"]
    plain["editor"]["margin"] = 2.0
    editor = recipe_from_plain(plain).editor
    assert (editor.margin, editor.confidence) == (2.0, 0.0)


def test_an_editor_that_has_another_one_comes_back_from_a_file_with_it():
    recipe = Recipe(SimIE(base=MEMIT(weight=0.5), ridge=0.1), OnlyLanguages(("de", "fr")), Trigger.ANY)
    plain = json.loads(json.dumps(recipe_to_plain(recipe)))
    assert recipe_from_plain(plain) == recipe
    plain["editor"]["base"]["name"] = "Nobody"
    assert recipe_from_plain(plain) is None


def test_scope_is_one_of_two():
    with pytest.raises(ValueError, match="'head'"):
        FineTuning(scope="head")
