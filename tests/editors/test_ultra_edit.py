"""UltraEdit: what holds of its step whatever the numbers, that a wrong one is caught, and what an edit leaves."""

import pytest
import torch

import polypatch as pp
from polypatch.editors import UltraEdit, ultra_edit
from polypatch.editors.gradients import Gradients, gradients_of
from polypatch.editors.ultra_edit import Pairs, scaled, step
from polypatch.recipes import Recipe
from polypatch.samplers import AllLanguages
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.triggers import Trigger
from speaking import speaker, speaking_edits

F, D, N = 9, 5, 3


def drawn(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


OWN = Pairs(drawn(N, F), drawn(N, D, seed=1))
KNOWN = Pairs(*(torch.cat([3 * drawn(8, size, seed=2), own]) for size, own in zip((F, D), OWN, strict=True)))
ONES = Pairs(drawn(8, F).sign(), drawn(8, D).sign())


def close(one, other):
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)  # a scale is never nothing


def change(terms):
    left, right = terms
    return left.T @ right


def of_scale_one_it_is_the_formula_in_as_many_dimensions_as_the_map_has(formula):
    """ΔWᵀ = (HᵀH + ρI)⁻¹ HᵀV with V = −η ‖h‖² g."""
    wanted = -0.2 * OWN.given.square().sum(1, keepdim=True) * OWN.gave
    both = OWN.given.T @ OWN.given + 0.7 * torch.eye(F, dtype=torch.float64)
    close(change(formula(OWN, ONES, 0.2, 0.7)), torch.linalg.solve(both, OWN.given.T @ wanted).T)


def coordinates_in_other_units_are_the_same_edit(formula):
    """Of g: the map moves as far. Of h: the same lengths go in, and the ridge alone sees the units."""
    units = Pairs(torch.ones(F, dtype=torch.float64), drawn(D, seed=4).abs() + 0.5)
    other = [Pairs(*(rows * unit for rows, unit in zip(pairs, units, strict=True))) for pairs in (OWN, KNOWN)]
    torch.testing.assert_close(
        change(formula(*other, 0.2, 0.7)), change(formula(OWN, KNOWN, 0.2, 0.7)), atol=1e-4, rtol=1e-4
    )


def without_a_ridge_every_row_moves_by_its_own_step(formula):
    moved = OWN.given @ change(formula(OWN, KNOWN, 0.2, 1e-12)).T
    size = [rows.square().mean(0).sqrt() for rows in KNOWN]
    length = (OWN.given / size[0]).square().sum(1, keepdim=True)
    torch.testing.assert_close(moved, -0.2 * length * OWN.gave / size[1], atol=1e-4, rtol=1e-4)


def by_hand(formula):
    """One row alone has the scale of itself: ĥ = (1, 1), ĝ = (1, −1); v = −0.1 · 2 · ĝ, and h·h + ρ = 25 + 15."""
    row = Pairs(torch.tensor([[3.0, 4.0]]).double(), torch.tensor([[0.5, -2.0]]).double())
    left, right = formula(row, row, 0.1, 15.0)
    torch.testing.assert_close(left, torch.tensor([[-0.2 / 40, 0.2 / 40]]).double(), atol=1e-7, rtol=1e-5)
    close(right, row.given)


INVARIANTS = (
    of_scale_one_it_is_the_formula_in_as_many_dimensions_as_the_map_has,
    coordinates_in_other_units_are_the_same_edit,
    without_a_ridge_every_row_moves_by_its_own_step,
    by_hand,
)


def uphill(pairs, known, rate, ridge):
    return step(pairs, known, -rate, ridge)


def as_if_first(pairs, known, rate, ridge):
    return step(pairs, pairs, rate, ridge)


def each_alone(pairs, known, rate, ridge):
    rows = [step(Pairs(*(rows[i : i + 1] for rows in pairs)), known, rate, ridge)[0] for i in range(len(pairs.given))]
    return torch.cat(rows), pairs.given


def by_scaled_rows(pairs, known, rate, ridge):
    left, right = step(pairs, known, rate, ridge)
    return left, scaled(right, known.given)


@pytest.mark.parametrize("holds", INVARIANTS)
def test_what_holds_of_the_step(holds):
    holds(step)


@pytest.mark.parametrize("wrong", [uphill, as_if_first, each_alone, by_scaled_rows])
def test_a_wrong_step_is_caught(wrong):
    def holds():
        for one in INVARIANTS:
            one(wrong)

    with pytest.raises(AssertionError):
        holds()


def attached(recipe, family="bert", **settings):
    model, tokenizer = tiny_model(family) if family == "bert" else speaker(family)
    return pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(12), recipe=recipe, **settings)


@pytest.mark.parametrize("scope", ["writer", "ffn"])
def test_an_edit_leaves_a_term_for_each_row_and_the_model_says_what_is_wanted(scope):
    edited = attached(Recipe(UltraEdit(scope=scope), AllLanguages(), Trigger.ANY))
    edit = tiny_edits(1)[0]
    (outcome,) = edited.edit([edit])
    assert (outcome.success, outcome.patches) == (True, len(edit.languages))
    edited.unload()


def test_below_the_last_layer_every_position_of_the_text_has_a_term():
    edited = attached(Recipe(UltraEdit(), layer=0), "gpt2")
    edit = speaking_edits(1)[0]
    (outcome,) = edited.edit([edit], rules=pp.Rules(keep_failed=True))
    rows = edited.ask([edit.example("en")])[0].rows
    assert outcome.patches == rows[-1].place + 1 > len(rows)
    edited.unload()


def test_the_scale_is_of_the_edits_that_stand():
    first, second, third = tiny_edits(3)

    def terms(edits, back=()):
        edited = attached(Recipe(UltraEdit()))
        edited.edit(edits)
        if back:
            edited.revert([edit.id for edit in back])
        edited.edit([third])
        found = edited.delta.tensors()["down_left"][-1]
        edited.unload()
        return found

    assert not torch.equal(terms([first, second]), terms([first]))
    assert torch.equal(terms([first, second], back=[second]), terms([first]))


def test_where_no_output_changes_the_loss_nothing_is_left(monkeypatch):
    def nowhere(*given):
        found = gradients_of(*given)
        none = ({name: rows[:0] for name, rows in side.items()} for side in (found.given, found.gave))
        return Gradients(*none, found.queries)

    monkeypatch.setattr(ultra_edit, "gradients_of", nowhere)
    edited = attached(Recipe(UltraEdit(scope="ffn")))
    (outcome,) = edited.edit(tiny_edits(1), rules=pp.Rules(keep_failed=True))
    assert (outcome.success, outcome.patches) == (False, 0)
    edited.unload()
