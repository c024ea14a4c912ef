"""Models in float64 are edited in float64; models in half precision are refused."""

import pytest
import torch

import polypatch as pp
from polypatch.data.memory import MemoryTexts
from polypatch.editors import (
    GRACE,
    MELO,
    MEMOIR,
    ROME,
    SERAC,
    WISE,
    CaliNet,
    FineTuning,
    LoRA,
    SimIE,
    TPatcher,
    UltraEdit,
)
from polypatch.errors import UnsupportedModelError
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import AllLanguages
from polypatch.testing import check_editor, tiny_edits, tiny_model, tiny_texts
from polypatch.triggers import Trigger

SHORT = {"max_steps": 20, "views": 2}
CASES = {
    "polypatch": RECIPES["polypatch"],
    "polypatch-linear": RECIPES["polypatch-linear"],
    "t-patcher": Recipe(TPatcher(first_validation=5, validate_every=5, **SHORT), trigger=Trigger.ALWAYS),
    "lora": Recipe(LoRA(learning_rate=3e-3, **SHORT), trigger=Trigger.ALWAYS),
    "rome": Recipe(ROME(), AllLanguages(), Trigger.ANY),
    "simie": Recipe(SimIE(), AllLanguages(), Trigger.ANY),
    "ultraedit": Recipe(UltraEdit(), AllLanguages(), Trigger.ANY),
    "grace": Recipe(GRACE(), AllLanguages(), Trigger.ANY),
    "melo": Recipe(MELO(max_steps=20), AllLanguages(), Trigger.ANY),
    "calinet": Recipe(CaliNet(max_steps=20), AllLanguages(), Trigger.ANY),
    "memoir": Recipe(MEMOIR(), AllLanguages(), Trigger.ANY),
    "wise": Recipe(WISE(max_steps=20), AllLanguages(), Trigger.ANY),
    "serac": Recipe(SERAC(before="", between=""), AllLanguages(), Trigger.ANY),
    "fine-tuning": Recipe(FineTuning(learning_rate=3e-3, **SHORT), trigger=Trigger.ALWAYS),
}


def double(family="bert"):
    model, tokenizer = tiny_model(family, layers=1)
    return model.double(), tokenizer


@pytest.mark.parametrize("name", CASES)
def test_the_laws_hold_in_float64(name):
    """Among them: tail ≡ full forward, here within 10⁻¹² of the largest logit (10⁻¹¹ once there are edits)."""
    check_editor(CASES[name], *double(), tiny_edits(2), tiny_texts(30))


@pytest.mark.parametrize("name", CASES)
def test_every_number_is_float64(name, tmp_path):
    model, tokenizer = double()
    edited = pp.edit(model, tiny_edits(2), tokenizer=tokenizer, recipe=CASES[name], memory=tiny_texts(30))
    floats = [tensor for tensor in edited.delta.tensors().values() if tensor.is_floating_point()]
    assert floats
    texts = tiny_texts(3)
    kept = [
        edited.memory.train.rows,
        edited.tail.queries(edited.tail.readout.rows(texts)).q,
        edited.tail.logits(edited.tail.readout.rows(texts), edited.delta),
    ]
    assert {tensor.dtype for tensor in [*floats, *kept, edited.probabilities(texts)]} == {torch.float64}
    assert edited.tail.cache.summary().dtype == "float64"


def test_edits_of_a_float64_model_find_it_again_by_its_name(tmp_path):
    """Checkpoints are loaded in float32, so the loader has to follow what was written."""
    model, tokenizer = double()
    model.float().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    model.double().config.name_or_path = str(tmp_path / "base")
    edited = pp.edit(model, tiny_edits(2), tokenizer=tokenizer, memory=tiny_texts(30))
    edited.save_pretrained(tmp_path / "edits")
    loaded = pp.EditedModel.from_pretrained(tmp_path / "edits")
    assert loaded.site.dtype == torch.float64
    assert torch.equal(loaded.probabilities(tiny_texts(3)), edited.probabilities(tiny_texts(3)))


def test_tensors_of_either_precision_are_taken_as_the_model_s():
    model, tokenizer = double()
    edited = pp.edit(model, tiny_edits(2), tokenizer=tokenizer, recipe="polypatch-linear", memory=tiny_texts(30))
    bank, owners = edited.delta, edited.delta.owners
    single = {name: tensor.float() for name, tensor in bank.tensors().items()}
    bank.load_tensors(single, owners)
    assert {tensor.dtype for tensor in bank.tensors().values()} == {torch.float64}
    assert all(torch.equal(tensor, single[name].double()) for name, tensor in bank.tensors().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused_in_one_line(dtype):
    model, tokenizer = tiny_model("bert", layers=1)
    with pytest.raises(UnsupportedModelError, match=rf"embeddings.*{dtype}.*dtype=\"float32\"") as error:
        pp.attach(model.to(dtype), tokenizer=tokenizer, memory=MemoryTexts())
    assert "\n" not in str(error.value)


def test_two_precisions_in_one_model_are_refused():
    model, tokenizer = tiny_model("bert", layers=1)
    model.classifier.double()
    with pytest.raises(UnsupportedModelError, match=r"classifier.*float64"):
        pp.attach(model, tokenizer=tokenizer, memory=MemoryTexts())
