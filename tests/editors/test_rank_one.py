"""ROME, MEMIT, EMMET and AlphaEdit: what holds of their formulas whatever the numbers, and that a wrong one is caught.

An invariant takes the formula as an argument, so that the same test can be given a broken one.
"""

import dataclasses

import pytest
import torch

import polypatch as pp
from polypatch.editors import EMMET, MEMIT, PMET, ROME, AlphaEdit, MemoryRows
from polypatch.editors.alpha_edit import projected
from polypatch.editors.key_moments import KeyMoments, keys_of
from polypatch.editors.memit import constrained, least_squares
from polypatch.editors.rome import rank_one
from polypatch.editors.shifts import Shifted
from polypatch.recipes import RECIPES, Recipe
from polypatch.samplers import AllLanguages
from polypatch.sites import FeedForwardSite, Row
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.triggers import Trigger
from speaking import speaker, speaking_edits

F, D, N = 12, 7, 3


def drawn(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


KEYS, SHIFTS, BEFORE = drawn(N, F), drawn(N, D, seed=1), drawn(4, F, seed=2)
SEEN = drawn(40, F, seed=3)
MOMENT = SEEN.T @ SEEN / len(SEEN)
MOMENTS = KeyMoments(MOMENT, 1e-9)
SOLVED = MOMENTS.solved(KEYS)


def change(terms):
    """ΔW [d, f] of terms l [n, d], r [n, f]."""
    left, right = terms
    return left.T @ right


def close(one, other):
    torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-6)


def rome_writes_its_key_and_leaves_what_is_orthogonal(formula):
    left, right = formula(KEYS[0], SHIFTS[0], SOLVED[0])
    close(torch.outer(left, right) @ KEYS[0], SHIFTS[0])
    other = BEFORE[0] - (BEFORE[0] @ SOLVED[0]) / (SOLVED[0] @ SOLVED[0]) * SOLVED[0]
    close(torch.outer(left, right) @ other, torch.zeros(D, dtype=torch.float64))


def memit_is_the_least_of_its_objective(formula):
    """Of λE‖ΔW k₀‖² + Σ‖ΔW k − δ‖²: the direct form, in which nothing is saved."""
    weight = 0.7
    direct = SHIFTS.T @ KEYS @ torch.linalg.inv(weight * MOMENTS.whole + KEYS.T @ KEYS)
    close(change(formula(KEYS, SHIFTS, SOLVED / weight)), direct)


def memit_of_no_weight_writes_every_key_and_of_all_writes_nothing(formula):
    nearly = change(formula(KEYS, SHIFTS, SOLVED / 1e-10))
    torch.testing.assert_close(nearly @ KEYS.T, SHIFTS.T, atol=1e-6, rtol=1e-6)
    assert float(change(formula(KEYS, SHIFTS, SOLVED / 1e12)).abs().max()) < 1e-9


def memit_of_one_fact_is_damped_rome(formula):
    weight, loud = 0.7, KEYS[0] @ SOLVED[0]
    left, right = rank_one(KEYS[0], SHIFTS[0], SOLVED[0])
    close(change(formula(KEYS[:1], SHIFTS[:1], SOLVED[:1] / weight)), torch.outer(left, right) * loud / (weight + loud))


def emmet_writes_every_key(formula):
    close(change(formula(KEYS, SHIFTS, SOLVED, 1e-12)) @ KEYS.T, SHIFTS.T)


def emmet_of_one_fact_is_rome(formula):
    close(
        change(formula(KEYS[:1], SHIFTS[:1], SOLVED[:1], 1e-12)), torch.outer(*rank_one(KEYS[0], SHIFTS[0], SOLVED[0]))
    )


QUIET = MOMENTS.quiet(0.3)
NONE = BEFORE[:0]


def alphaedit_stays_in_the_quiet_directions(formula):
    delta = change(formula(KEYS, SHIFTS, BEFORE, QUIET, 0.5))
    close(delta @ (QUIET @ QUIET.T), delta)
    loud = BEFORE[0] - QUIET @ (QUIET.T @ BEFORE[0])
    close(delta @ loud, torch.zeros(D, dtype=torch.float64))


def alphaedit_is_the_form_in_all_directions(formula):
    p = QUIET @ QUIET.T
    both = p @ (KEYS.T @ KEYS + BEFORE.T @ BEFORE) + 0.5 * torch.eye(F, dtype=torch.float64)
    close(change(formula(KEYS, SHIFTS, BEFORE, QUIET, 0.5)), torch.linalg.solve(both, p @ KEYS.T @ SHIFTS).T)


def alphaedit_of_all_directions_is_memit(formula):
    """With nothing before it, and λC being the identity times ℓ."""
    all_of_them = torch.eye(F, dtype=torch.float64)
    close(change(formula(KEYS, SHIFTS, NONE, all_of_them, 0.5)), change(least_squares(KEYS, SHIFTS, KEYS / 0.5)))


def alphaedit_one_by_one_is_all_at_once(formula):
    """Keys and what they are to give being held fixed: recursive least squares."""
    delta = torch.zeros(D, F, dtype=torch.float64)
    for i in range(N):
        here = slice(i, i + 1)
        left = SHIFTS[here] - KEYS[here] @ delta.T
        delta = delta + change(formula(KEYS[here], left, KEYS[:i], QUIET, 0.5))
    close(delta, change(formula(KEYS, SHIFTS, NONE, QUIET, 0.5)))


def no_denominator(key, shift, direction):
    return shift / direction.norm(), direction


def key_for_direction(key, shift, direction):
    return shift / (direction @ key), key


def unweighed(keys, shifts, solved):
    return shifts, solved


def without_rest(keys, shifts, solved):
    return torch.linalg.solve((keys @ solved.T).T, shifts), solved


def each_alone(keys, shifts, solved, damping):
    return shifts / (keys * solved).sum(1, keepdim=True), solved


def forgetting(keys, shifts, before, quiet, damping):
    return projected(keys, shifts, before[:0], quiet, damping)


def unprojected(keys, shifts, before, quiet, damping):
    left, right = projected(keys, shifts, before, quiet, damping)
    return left, right + 1e-3 * keys


INVARIANTS = {
    rank_one: (rome_writes_its_key_and_leaves_what_is_orthogonal,),
    least_squares: (
        memit_is_the_least_of_its_objective,
        memit_of_no_weight_writes_every_key_and_of_all_writes_nothing,
        memit_of_one_fact_is_damped_rome,
    ),
    constrained: (emmet_writes_every_key, emmet_of_one_fact_is_rome),
    projected: (
        alphaedit_stays_in_the_quiet_directions,
        alphaedit_is_the_form_in_all_directions,
        alphaedit_of_all_directions_is_memit,
        alphaedit_one_by_one_is_all_at_once,
    ),
}
PLANTED = {
    rank_one: (no_denominator, key_for_direction),
    least_squares: (unweighed, without_rest),
    constrained: (each_alone,),
    projected: (forgetting, unprojected),
}


@pytest.mark.parametrize(
    ("formula", "holds"), [(formula, holds) for formula, many in INVARIANTS.items() for holds in many]
)
def test_what_holds_of_the_formulas(formula, holds):
    holds(formula)


@pytest.mark.parametrize(
    ("formula", "wrong"), [(formula, wrong) for formula, many in PLANTED.items() for wrong in many]
)
def test_a_wrong_formula_is_caught(formula, wrong):
    def holds():
        for one in INVARIANTS[formula]:
            one(wrong)

    with pytest.raises(AssertionError):
        holds()


@pytest.fixture(scope="module", params=["bert", "gpt2", "llama"])
def site(request):
    kind = () if request.param == "bert" else ("causal",)
    return FeedForwardSite(tiny_model(request.param, *kind)[0])


def rows_at(site, count=30):
    queries = drawn(count, site.hidden_size, seed=5).to(site.dtype)
    counts = torch.arange(count) % 3 + 1
    return MemoryRows([Row((i,), 0) for i in range(count)], queries, counts)


def test_the_second_moment_counts_every_row_as_often_as_it_stands_there(site):
    rows = rows_at(site)
    keys = keys_of(site, rows.rows).repeat_interleave(rows.counts, dim=0)
    moments = KeyMoments.of(rows, site, 0.1)
    close(moments.moment, keys.T @ keys / len(keys))
    mean = float(moments.moment.diagonal().mean())
    close(moments.whole, moments.moment + 0.1 * mean * torch.eye(len(moments.moment), dtype=torch.float64))
    close(moments.solved(keys[:2]) @ moments.whole, keys[:2])
    assert KeyMoments.of(rows, site, 0.1) is moments
    rows.append([Row((99,), 0)], rows.rows[:1] + 1, 8)
    assert KeyMoments.of(rows, site, 0.1) is moments, "of what the memory began with"


def test_quiet_directions_hold_no_more_than_their_share_and_the_next_would():
    values = MOMENTS.spectrum[0]
    energy = torch.diagonal(QUIET.T @ MOMENT @ QUIET).sum()
    assert float(energy) <= 0.3 * float(values.sum())
    assert float(energy + values[QUIET.shape[1]]) > 0.3 * float(values.sum())
    close(QUIET.T @ QUIET, torch.eye(QUIET.shape[1], dtype=torch.float64))


def test_without_a_memory_no_direction_is_preferred(site):
    none = MemoryRows([], torch.empty(0, site.hidden_size, dtype=site.dtype))
    moments = KeyMoments.of(none, site, 0.1)
    keys = drawn(2, len(moments.moment))
    close(moments.solved(keys), keys)


def test_a_shift_goes_where_its_query_is_and_nowhere_else():
    queries, out = drawn(4, D), torch.zeros(4, D, dtype=torch.float64)
    shifted = Shifted(queries[[1, 3]], drawn(2, D, seed=1))(queries * (1 + 1e-6), out)
    close(shifted[[1, 3]], drawn(2, D, seed=1))
    assert not shifted[[0, 2]].any()


def test_a_shift_finds_its_query_among_many():
    """More than 25 on a side are what torch takes a matrix product for, unless told otherwise."""
    queries = 20 + 5 * torch.randn(60, 256, generator=torch.Generator().manual_seed(0))
    shifted = Shifted(queries, torch.ones(60, 256))(queries, torch.zeros(60, 256))
    assert torch.equal(shifted, torch.ones(60, 256))


EDITORS = [ROME(), MEMIT(weight=1e-3), PMET(weight=1e-3), EMMET(), AlphaEdit(energy=0.9, damping=1e-6)]


@pytest.mark.parametrize("editor", EDITORS, ids=lambda editor: type(editor).__name__)
def test_edits_of_a_classifier_take_in_every_language(editor):
    model, tokenizer = tiny_model("bert")
    edited = pp.attach(
        model, tokenizer=tokenizer, memory=tiny_texts(40), recipe=Recipe(editor, AllLanguages(), Trigger.ANY)
    )
    edits = tiny_edits(3)
    outcomes = edited.edit(edits)
    assert [outcome.success for outcome in outcomes] == [True] * 3
    each = 1 if isinstance(editor, ROME) else len(edits[0].languages)
    assert {outcome.patches for outcome in outcomes if outcome.triggered} == {each}
    edited.unload()


@pytest.mark.parametrize("layer", [None, 0])
@pytest.mark.parametrize("editor", EDITORS, ids=lambda editor: type(editor).__name__)
def test_an_answer_of_several_tokens_is_written_token_by_token_or_from_below(editor, layer):
    recipe = dataclasses.replace(Recipe(editor), layer=layer)
    model, tokenizer = speaker("llama")
    edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(12, seed=9), recipe=recipe)
    edit = speaking_edits(1)[0]
    outcome = edited.edit([edit], rules=pp.Rules(keep_failed=True))[0]
    rows = len(edited.ask([edit.example("en")])[0].rows)
    assert rows > 1
    assert outcome.patches == (rows if layer is None else 1)
    assert outcome.success or layer == 0, "a random model is not steered from one position"
    edited.unload()


def test_the_key_of_an_edit_in_several_languages_is_the_mean_of_theirs():
    """And δ is one: so every language gets a part of it, which ROME's constraint fixes for the mean alone."""
    model, tokenizer = tiny_model("bert")
    edited = pp.attach(
        model, tokenizer=tokenizer, memory=tiny_texts(40), recipe=Recipe(ROME(), AllLanguages(), Trigger.ANY)
    )
    edit = tiny_edits(1)[0]
    edited.edit([edit])
    q = edited.tail.queries(edited.readout.rows(list(edit.prompt.values()))).q
    right = edited.delta.tensors()["down_right"].double()
    wanted = KeyMoments.of(edited.memory.train, edited.site, ROME().ridge).solved(keys_of(edited.site, q).mean(0)[None])
    close(right / right.norm(), (wanted / wanted.norm()).float().double())
    edited.unload()


def test_the_memory_of_alphaedit_is_the_edits_that_stand():
    """Their keys are read from the memory; what is taken back is protected no more."""
    model, tokenizer = tiny_model("bert")
    first, second, third = tiny_edits(3)

    def terms(edits, back=()):
        edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(40), recipe=RECIPES["alphaedit"])
        edited.edit(edits)
        edited.revert([edit.id for edit in back])
        edited.edit([third])
        found = edited.delta.tensors()["down_right"][-1]
        edited.unload()
        return found

    assert not torch.equal(terms([first, second]), terms([first]))
    assert torch.equal(terms([first, second], back=[second]), terms([first]))
