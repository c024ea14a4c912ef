"""SimIE: the recursion of the paper is one fit of all edits; wrong ones are caught; what its edits leave."""

import pytest
import torch

import polypatch as pp
from polypatch.deltas import FactorBank, RidgeBank
from polypatch.editors import KN, ROME, SimIE, TPatcher, UltraEdit
from polypatch.errors import UnsupportedModelError
from polypatch.recipes import RECIPES, Recipe
from polypatch.sites import FeedForwardSite
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.triggers import Trigger
from speaking import speaker, speaking_edits

F, D, WEIGHT = 11, 4, 0.3


def drawn(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


EDITS = [(drawn(D, F, seed=i), drawn(size, F, seed=10 + i)) for i, size in enumerate((2, 1, 3))]
"""What the other editor does to the matrix, and K."""

MANY = [*EDITS, (drawn(D, F, seed=5), drawn(9, F, seed=6))]
"""With more rows than the map is given numbers."""


def close(one, other):
    torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


def fitted(formula, edits, weight=WEIGHT):
    """ΔW by the rows of all edits, as the editor keeps them."""
    rows = [(keys @ change.T / weight**0.5, keys / weight**0.5) for change, keys in edits]
    return formula(*(torch.cat(side) for side in zip(*rows, strict=True)))


def recursion(edits):
    """Edit by edit, as it is published."""
    delta, moment = torch.zeros(D, F, dtype=torch.float64), WEIGHT * torch.eye(F, dtype=torch.float64)
    for change, keys in edits:
        moment = moment + keys.T @ keys
        delta = delta + (change - delta) @ keys.T @ keys @ torch.linalg.inv(moment)
    return delta


def all_at_once_is_one_after_the_other(formula):
    for edits in (EDITS, MANY):
        close(fitted(formula, edits), recursion(edits))


def no_order_is_another_edit(formula):
    close(fitted(formula, EDITS[::-1]), recursion(EDITS))


def without_weight_every_row_gets_what_the_other_editor_gives_it(formula):
    found = fitted(formula, EDITS, 1e-12)
    for change, keys in EDITS:
        torch.testing.assert_close(found @ keys.T, change @ keys.T, atol=1e-6, rtol=1e-6)


def of_one_row_it_is_damped(formula):
    """By hand: v kᵀ ÷ (1 + ‖k‖²), k = (2, 0), v = (5,)."""
    found = formula(torch.tensor([[5.0]]).double(), torch.tensor([[2.0, 0.0]]).double())
    close(found, torch.tensor([[2.0, 0.0]]).double())


INVARIANTS = (
    all_at_once_is_one_after_the_other,
    no_order_is_another_edit,
    without_weight_every_row_gets_what_the_other_editor_gives_it,
    of_one_row_it_is_damped,
)
BANK = RidgeBank(None)


def summed(left, right):
    return left.T @ right


def each_alone(left, right):
    return sum(BANK.added(left[i : i + 1], right[i : i + 1]) for i in range(len(left)))


def undamped(left, right):
    return torch.linalg.lstsq(right, left).solution.T


@pytest.mark.parametrize("holds", INVARIANTS)
def test_what_holds_of_the_fit(holds):
    holds(BANK.added)


@pytest.mark.parametrize("wrong", [summed, each_alone, undamped])
def test_a_wrong_fit_is_caught(wrong):
    def holds():
        for one in INVARIANTS:
            one(wrong)

    with pytest.raises(AssertionError):
        holds()


def edited_by(recipe, edits, family="bert"):
    model, tokenizer = tiny_model(family) if family == "bert" else speaker(family)
    edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(20), recipe=recipe)
    edited.edit(edits, rules=pp.Rules(keep_failed=True))
    return edited


@pytest.mark.parametrize("base", [ROME(), UltraEdit(scope="ffn"), KN()])
def test_one_edit_of_hardly_any_weight_does_what_the_other_editor_does(base):
    edits = tiny_edits(1)
    simie, alone = (edited_by(Recipe(editor), edits) for editor in (SimIE(base=base, ridge=1e-8), base))
    rows = simie.readout.rows([edits[0].prompt["en"]])
    logits = [one.tail.logits(rows, one.delta) for one in (simie, alone)]
    change = logits[1] - simie.tail.logits(rows, RidgeBank(simie.site))
    torch.testing.assert_close(logits[0], logits[1], atol=1e-2 * float(change.abs().max()), rtol=0)
    for one in (simie, alone):
        one.unload()


def test_every_edit_is_learned_on_the_unedited_model_and_taken_back_alone():
    """So the one that stays is, bit for bit, what it is without those before it."""
    (first, second, third), always = tiny_edits(3), Recipe(SimIE(), trigger=Trigger.ALWAYS)
    edited = edited_by(always, [first, second, third])
    edited.delta.drop([first.id, second.id])
    alone = edited_by(always, [third])
    assert all(torch.equal(tensor, alone.delta.tensors()[name]) for name, tensor in edited.delta.tensors().items())
    weights = alone.delta.weights()
    assert all(torch.equal(matrix, weights[name]) for name, matrix in edited.delta.weights().items())
    for one in (edited, alone):
        one.unload()


def test_where_all_positions_are_read_all_have_a_row():
    edits = speaking_edits(1)
    edited = edited_by(RECIPES["simie-rome"], edits, "gpt2")
    rows = edited.ask([edits[0].example("en")])[0].rows
    assert edited.patches == len(rows[0].tokens)
    keys = edited.delta.tensors()["down_right"]
    assert len(torch.unique(keys, dim=0)) == len(keys)
    edited.unload()


def test_an_editor_without_terms_of_matrices_is_refused():
    site = FeedForwardSite(tiny_model("bert")[0])
    with pytest.raises(UnsupportedModelError, match="SimIE grows a FactorBank, not a PatchBank"):
        SimIE(base=TPatcher()).start(site)
    assert isinstance(SimIE().start(site), FactorBank)
