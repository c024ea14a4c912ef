"""KN and AMIG: what holds of attributions, that wrong ones are caught, and what an edit writes where."""

import dataclasses

import pytest
import torch

import polypatch as pp
from polypatch.editors import AMIG, KN, knowledge_neurons
from polypatch.editors.key_moments import keys_of
from polypatch.editors.knowledge_neurons import _Answers, attribution
from polypatch.errors import UnsupportedModelError
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import AllLanguages
from polypatch.sites.rows import flat
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.triggers import Trigger
from speaking import speaker, speaking_edits, with_gaps

F = 6


def drawn(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


FULL, BASE, SLOPE = drawn(2, F), drawn(2, F, seed=1), drawn(2, F, seed=2)


def curved(activations):
    return (SLOPE * activations).tanh().sum() + (activations.sum(-1) ** 2).sum()


def all_of_them_add_the_difference(formula):
    wanted = curved(FULL) - curved(BASE)
    gaps = [abs(float(formula(curved, FULL, BASE, steps).sum() - wanted)) for steps in (20, 40, 400)]
    assert gaps[1] < 0.55 * gaps[0]
    assert gaps[2] < 0.06 * gaps[0]


def of_what_is_linear_each_adds_its_own(formula):
    found = formula(lambda activations: (SLOPE * activations).sum(), FULL, BASE, 3)
    torch.testing.assert_close(found, SLOPE * (FULL - BASE))


def by_hand(formula):
    """a² from 1 to 3 in two steps: gradients 4 and 6 at 2 and 3, their mean 5, times 2."""
    found = formula(lambda a: a.square().sum(), torch.tensor([[3.0]]), torch.tensor([[1.0]]), 2)
    torch.testing.assert_close(found, torch.tensor([[10.0]]))


INVARIANTS = (all_of_them_add_the_difference, of_what_is_linear_each_adds_its_own, by_hand)


def gradient_times_activation(score, full, base, steps):
    return attribution(score, full, base, 1)


def from_nothing(score, full, base, steps):
    return attribution(score, full, torch.zeros_like(base), steps)


def by_its_own_length(score, full, base, steps):
    return attribution(score, full, base, steps) / (full - base) * full


@pytest.mark.parametrize("holds", INVARIANTS)
def test_what_holds_of_attributions(holds):
    holds(attribution)


@pytest.mark.parametrize("at_once", [3, 20, 100])
def test_points_are_taken_at_once_as_one_by_one(at_once):
    one_by_one = attribution(curved, FULL, BASE, 20)
    torch.testing.assert_close(attribution(curved, FULL, BASE, 20, at_once), one_by_one)


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_all_points_in_one_pass_are_as_one_pass_for_each(family, monkeypatch):
    edited = attached(RECIPES["amig"], family)
    edit = (tiny_edits if family == "bert" else speaking_edits)(1)[0]
    edited.edit([edit], rules=pp.Rules(keep_failed=True))
    found = answers(edited, edit)
    bases = drawn(2, found.full.shape[1]).float()
    at_once = found.scores(bases, 20)
    monkeypatch.setattr(knowledge_neurons, "FrozenRows", ())
    monkeypatch.setattr(knowledge_neurons, "slice_of", lambda width: 1)
    torch.testing.assert_close(at_once, found.scores(bases, 20))
    edited.unload()


@pytest.mark.parametrize("wrong", [gradient_times_activation, from_nothing, by_its_own_length])
def test_a_wrong_attribution_is_caught(wrong):
    def holds():
        for one in INVARIANTS:
            one(wrong)

    with pytest.raises(AssertionError):
        holds()


def attached(recipe, family="bert"):
    model, tokenizer = tiny_model(family) if family == "bert" else speaker(family)
    return pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(20), recipe=recipe)


def asked(edited, edit):
    return flat(edited.ask([edit.example("en")]))


def answers(edited, edit, delta=None):
    """What an edit's source rows are attributed by, under some edits."""
    rows, wanted = asked(edited, edit)
    delta = edited.delta if delta is None else delta
    ready = edited.tail.rows(rows, delta, views=0, generator=torch.Generator())
    return _Answers(delta, edited.site, ready, torch.tensor(wanted))


@pytest.mark.parametrize(("family", "layer"), [("bert", None), ("llama", None), ("gpt2", 0)])
def test_the_neurons_of_a_layer_add_what_it_adds_to_the_old_answer(family, layer):
    """P(full) − P(layer silent), by a pass in which the map that writes is given nothing."""
    edited = attached(dataclasses.replace(RECIPES["kn"], layer=layer), family)
    edit = (tiny_edits if family == "bert" else speaking_edits)(1)[0]
    found, rows = answers(edited, edit), asked(edited, edit).rows
    (one,) = edited.delta.maps.values()
    bias = getattr(edited.site.model.get_submodule(one.path), "bias", None)
    read = found.rows.q

    def silent(q, out):
        here = (q[:, None] == read).all(2).any(1, keepdim=True)
        return torch.where(here, torch.zeros_like(out) if bias is None else bias.expand_as(out), out)

    silent.overrides = {}
    logits = [edited.tail.logits(rows, change) for change in (edited.delta, silent)]
    said = logits[0].argmax(-1, keepdim=True)
    full, without = (one.softmax(-1).gather(1, said).sum() for one in logits)
    none = torch.zeros(1, one.given)
    gaps = [abs(float(found.scores(none, steps).sum() - (full - without))) for steps in (10, 80)]
    edited.unload()
    assert abs(float(full - without)) > 1e-4
    assert gaps[1] < max(0.3 * gaps[0], 1e-6)


def test_value_rows_lose_the_old_token_and_gain_the_new_one():
    """And no bit of a neuron's that does not stand behind the old answer changes."""
    edited = attached(RECIPES["kn"], "llama")
    edit = speaking_edits(1)[0]
    rows, wanted = asked(edited, edit)
    old = edited.tail.said(rows, edited.delta).ids
    scores = answers(edited, edit).scores(torch.zeros(1, next(iter(edited.delta.maps.values())).given), 20)
    activations = answers(edited, edit).full
    edited.edit([edit], rules=pp.Rules(keep_failed=True))
    left, right = edited.delta.tensors().values()
    embeddings = edited.model.get_input_embeddings().weight.detach()
    torch.testing.assert_close(left, 2 * (embeddings[list(wanted)] - embeddings[old]))
    above = scores > 0.2 * scores.max(1, keepdim=True).values
    assert torch.equal(right, above * activations.sign())
    behind = above.any(0)
    assert set(right.flatten().tolist()) == {-1.0, 0.0, 1.0}
    assert 0 < int(behind.sum()) < len(behind)
    (one,) = edited.delta.maps.values()
    before, after = (
        one.as_kept(w) for w in (edited.site.matrices("ffn")[one.weight], edited.delta.weights()[one.weight])
    )
    assert torch.equal(before[:, ~behind], after[:, ~behind])
    assert bool((before[:, behind] != after[:, behind]).any(0).all())
    edited.unload()


def test_a_class_has_a_direction_in_place_of_an_embedding():
    """Of the length of the mean value row, and the new class gains on the old one by it."""
    edited = attached(RECIPES["kn"])
    edit = tiny_edits(1)[0]
    found, rows = answers(edited, edit), asked(edited, edit).rows
    (vector,) = found.vectors()
    (one,) = edited.delta.maps.values()
    values = one.as_kept(edited.site.matrices("ffn")[one.weight].detach())
    torch.testing.assert_close(vector.norm(), values.norm(dim=0).mean())
    (old,) = edited.tail.said(rows, edited.delta).ids.tolist()

    def pushed(q, out):
        return out + 1e-3 * vector

    def lead(change):
        (logits,) = edited.tail.logits(rows, change)
        return float(logits[found.wanted[0]] - logits[old])

    pushed.overrides = {}
    assert lead(pushed) > lead(edited.delta)
    edited.unload()


def written(editor, edits, family="bert"):
    edited = attached(Recipe(editor, AllLanguages(), Trigger.ANY), family)
    outcomes = edited.edit(edits, rules=pp.Rules(keep_failed=True))
    tensors = edited.delta.tensors()
    edited.unload()
    return tensors, outcomes


def test_amig_writes_into_the_neurons_that_all_texts_have_in_common():
    edit = tiny_edits(1)[0]
    (each, _), (common, _) = (written(AMIG(shared=shared), [edit]) for shared in (False, True))
    behind = each["down_right"] != 0
    assert len(torch.unique(behind, dim=0)) > 1
    assert torch.equal(common["down_right"], each["down_right"] * behind.all(0))
    assert bool(common["down_right"].any())
    assert torch.equal(common["down_left"], each["down_left"])


def test_amig_of_the_same_baseline_is_kn_where_there_is_one_text():
    edits = tiny_edits(2)
    tensors = []
    for editor in (KN(), AMIG(baselines=0), AMIG()):
        edited = attached(Recipe(editor))
        edited.edit(edits, rules=pp.Rules(keep_failed=True))
        tensors.append(edited.delta.tensors()["down_right"])
        edited.unload()
    assert torch.equal(tensors[0], tensors[1])
    assert not torch.equal(tensors[0], tensors[2])


def test_texts_without_a_neuron_in_common_are_not_edited_and_it_says_so():
    """Only the largest counts, and it is another one in another text."""
    tensors, (outcome,) = written(AMIG(threshold=0.999), tiny_edits(1))
    assert not len(tensors["down_left"])
    assert "no neuron stands behind every old answer" in outcome.reason


def test_baselines_are_activations_of_the_memory():
    edited = attached(RECIPES["amig"])
    bases = AMIG()._bases(edited.memory, edited.site)
    rows = edited.memory.train
    assert len(bases) == 8
    keys = keys_of(edited.site, rows.rows)
    assert all(bool(torch.isclose(keys, base, atol=1e-5).all(1).any()) for base in bases)
    assert len(torch.unique(bases, dim=0)) > 1
    edited.unload()


def test_embeddings_of_another_width_are_refused():
    model, tokenizer = tiny_model("electra", "masked")
    edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(8), recipe="kn")
    with pytest.raises(UnsupportedModelError, match=r"KN writes embeddings of \d+ numbers"):
        edited.edit(with_gaps(speaking_edits(1), tokenizer))
    edited.unload()
