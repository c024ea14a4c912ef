"""A model that was converted or trained on after edits were attached: said at the next use, and never saved."""

import pytest
import torch

import polypatch as pp
from polypatch.editors import FineTuning
from polypatch.errors import TailMismatchError, UnsupportedModelError
from polypatch.recipes import RECIPES, Recipe
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.triggers import Trigger

EDITS, MEMORY = tiny_edits(3), tiny_texts(20, seed=1)
SIX = Recipe(FineTuning(scope="layer", max_steps=5, learning_rate=3e-3, views=0), trigger=Trigger.ALWAYS)
"""Its matrices stand in the model's own places."""
RECIPE = {"patches": RECIPES["polypatch-linear"], "six matrices": SIX}


def edited_model(recipe="patches"):
    model, tokenizer = tiny_model("bert", layers=1)
    edited = pp.attach(model, tokenizer=tokenizer, recipe=RECIPE[recipe], memory=MEMORY)
    list(pp.edit_stream(edited, EDITS[:1], rules=pp.Rules(keep_failed=True)))
    return edited


USES = {
    "explain": lambda edited, _: edited.explain(MEMORY[0]),
    "firing": lambda edited, _: edited.firing(MEMORY[0]),
    "answers": lambda edited, _: edited.predict_before_after(MEMORY[:2]),
    "edit": lambda edited, _: edited.edit(EDITS[1:2]),
    "save": lambda edited, folder: edited.save_pretrained(folder / "edits"),
}


@pytest.mark.parametrize(("use", "dtype"), [*((use, torch.float16) for use in USES), ("save", torch.bfloat16)])
def test_a_converted_model_is_refused_by_name(use, dtype, tmp_path):
    edited = edited_model()
    edited.model.to(dtype)
    for verb in (lambda: edited.predict(MEMORY[0]), lambda: USES[use](edited, tmp_path)):
        with pytest.raises(UnsupportedModelError, match=rf"{dtype}.*torch.float32.*unload"):
            verb()
    assert not list(tmp_path.iterdir())
    assert list(edited.records) == [EDITS[0].id]
    edited.unload()


def train(edited):
    parameter = edited.model.classifier.weight
    torch.optim.SGD([parameter], lr=0.1).zero_grad()
    parameter.grad = torch.ones_like(parameter)
    torch.optim.SGD([parameter], lr=0.1).step()


def load(edited):
    edited.model.load_state_dict(tiny_model("bert", layers=1, seed=1)[0].state_dict())


def put(edited):
    edited.model.bert.embeddings.word_embeddings.weight.data = torch.zeros_like(
        edited.model.bert.embeddings.word_embeddings.weight
    )


@pytest.mark.parametrize(
    ("use", "recipe", "change"),
    [
        *((use, "patches", train) for use in USES),
        *(("save", name, how) for name in RECIPE for how in (train, load, put)),
    ],
)
def test_other_weights_are_refused(use, recipe, change, tmp_path):
    edited = edited_model(recipe)
    USES[use](edited, tmp_path / "before")
    handled = list(edited.records)
    with edited.disabled():  # where six matrices were replaced, this is where their own are
        change(edited)
    with pytest.raises(TailMismatchError, match=r"weights of the model \(.*unload"):
        USES[use](edited, tmp_path / "after")
    assert not (tmp_path / "after").exists()
    assert list(edited.records) == handled


def test_what_nobody_counts_is_found_before_it_is_saved(tmp_path):
    """A write through `.data` leaves no mark."""
    edited = edited_model()
    edited.model.classifier.weight.data.add_(1e-3)
    with pytest.raises(TailMismatchError, match=r"classifier\.weight"):
        edited.save_pretrained(tmp_path / "edits")


@pytest.mark.parametrize(
    ("use", "recipe"), [("edit", "patches"), ("explain", "six matrices"), ("save", "six matrices")]
)
def test_the_same_weights_elsewhere_are_the_same(use, recipe, tmp_path):
    """Moved to another device and back, or loaded again: no number is another."""
    edited = edited_model(recipe)
    with edited.disabled():
        edited.model.load_state_dict({name: tensor.clone() for name, tensor in edited.model.state_dict().items()})
        for parameter in edited.model.parameters():
            parameter.data = parameter.data.clone()
    USES[use](edited, tmp_path)
