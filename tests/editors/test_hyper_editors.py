"""MEND, MALMEN, KnowledgeEditor and LiME: what holds of their formulas and of nets before training, and errors caught.

An invariant takes the formula as an argument, so that the same test can be given a broken one.
"""

import dataclasses

import pytest
import torch
from torch.nn import functional

import polypatch as pp
from polypatch.deltas import FactorBank
from polypatch.editors import (
    MALMEN,
    MEND,
    KnowledgeEditor,
    Lesson,
    MaskedKnowledgeEditor,
    MaskedMEND,
)
from polypatch.editors.gradients import gradients_of
from polypatch.editors.group_mask import GroupMask
from polypatch.editors.hyper_editor import UNTRAINED, by_text
from polypatch.editors.knowledge_editor import Masks, masked_terms
from polypatch.editors.least_changes import least_changes
from polypatch.editors.malmen import values_of
from polypatch.editors.ultra_edit import Pairs, step
from polypatch.errors import PolypatchWarning
from polypatch.model.step import group_of
from polypatch.recipes import Recipe
from polypatch.samplers import AllLanguages
from polypatch.sites import FeedForwardSite, FrozenTail, FullForward
from polypatch.sites.rows import flat
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from polypatch.triggers import Trigger
from speaking import speaker, speaking_edits

F, D, N = 12, 7, 3


def drawn(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


KEYS, GRADIENTS, RATE, DAMPING = drawn(N, F), drawn(N, D, seed=1), torch.tensor(0.3), torch.tensor(1.0)


def change(terms):
    """ΔW [d, f] of terms l [n, d], r [n, f]."""
    left, right = terms
    return left.T @ right


def close(one, other):
    torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-6)


def malmen_of_an_identity_net_is_ultraedit_with_mean_0_and_std_1(formula):
    """v = −η ‖h‖² g, ΔWᵀ = (HᵀH + I)⁻¹ Hᵀ V, in the form in which nothing is saved; with damping, e^λ for I."""
    for damping in (1.0, 0.2):
        inner = KEYS.T @ KEYS + damping * torch.eye(F, dtype=torch.float64)
        wanted = torch.linalg.inv(inner) @ KEYS.T @ (-0.3 * KEYS.square().sum(1, keepdim=True) * GRADIENTS)
        close(change(formula(KEYS, GRADIENTS, torch.tensor(damping))), wanted.T)


def malmen_s_keys_get_their_values_where_nothing_damps(formula):
    values = -0.3 * KEYS.square().sum(1, keepdim=True) * GRADIENTS
    close(KEYS @ change(formula(KEYS, GRADIENTS, torch.tensor(1e-12))).T, values)


def ke_of_one_value_is_a_step_of_the_gradient(formula):
    """a of one value, b = 1, nothing added: −ρ σ(s) · grad W."""
    masks = Masks(torch.full((D,), 2.0), torch.ones(F), torch.zeros(D), torch.zeros(F), torch.tensor(0.5))
    close(change(formula(KEYS, GRADIENTS, masks, RATE)), -0.3 * torch.tensor(0.5).sigmoid() * GRADIENTS.T @ KEYS)


def ke_is_the_matrix_form(formula):
    masks = Masks(drawn(D, seed=3), drawn(F, seed=4), drawn(D, seed=5), drawn(F, seed=6), torch.tensor(-0.2))
    through = torch.outer(masks.a.softmax(0), masks.b) * (GRADIENTS.T @ KEYS)
    whole = through + torch.outer(masks.a_more.softmax(0), masks.b_more)
    close(change(formula(KEYS, GRADIENTS, masks, RATE)), -0.3 * D * masks.gate.sigmoid() * whole)


def malmen(keys, gradients, damping):
    return least_changes(keys, values_of(keys, keys, gradients, RATE), damping)


def without_keys_in_the_values(keys, gradients, damping):
    return least_changes(keys, -RATE * gradients, damping)


def undamped(keys, gradients, damping):
    return least_changes(keys, values_of(keys, keys, gradients, RATE), torch.tensor(0.5))


def uphill(keys, gradients, damping):
    left, right = malmen(keys, gradients, damping)
    return -left, right


def columns_for_rows(k, g, masks, rate):
    return masked_terms(k, g, masks._replace(a=masks.a_more, a_more=masks.a), rate)


def never_less(k, g, masks, rate):
    return masked_terms(k, g, masks._replace(gate=torch.tensor(100.0)), rate)


def nothing_added(k, g, masks, rate):
    left, right = masked_terms(k, g, masks, rate)
    return left[:-1], right[:-1]


INVARIANTS = {
    malmen: (
        malmen_of_an_identity_net_is_ultraedit_with_mean_0_and_std_1,
        malmen_s_keys_get_their_values_where_nothing_damps,
    ),
    masked_terms: (ke_of_one_value_is_a_step_of_the_gradient, ke_is_the_matrix_form),
}
PLANTED = {
    malmen: (without_keys_in_the_values, undamped, uphill),
    masked_terms: (columns_for_rows, never_less, nothing_added),
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


def tail_of(family, layer, kind=FrozenTail):
    model, tokenizer = speaker(family) if family != "bert" else tiny_model("bert")
    return kind(FeedForwardSite(model.double(), layer=layer), tokenizer)


def lesson_of(tail, examples):
    asked = tail.readout.ask([one.text for one in examples], [one.target for one in examples])
    index = [i for one in asked for i in range(len(one.rows))]
    groups = [group_of(example.lang) for example, one in zip(examples, asked, strict=True) for _ in one.rows]
    rows, wanted = flat(asked)
    return Lesson("a", rows, wanted, lambda: range(len(rows)), torch.Generator(), index, groups=groups)


def examples_for(family):
    return (tiny_edits(1) if family == "bert" else speaking_edits(1))[0].examples


def gradient_of_the_model(tail, lesson):
    """By the model's own matrices, through nothing but a forward pass."""
    own = tail.site.matrices("ffn")
    starts = [i for i, one in enumerate(lesson.index) if one == 0]
    ends = [*starts[1:], len(lesson.rows)]
    parts = []
    for start, end in zip(starts, ends, strict=True):
        for i in range(start, end):
            ids = torch.tensor([lesson.rows[i].tokens])
            more = {"token_type_ids": torch.tensor([lesson.rows[i].context])} if lesson.rows[i].context else {}
            logits = tail.site.model(input_ids=ids, **more).logits
            logits = logits[:, lesson.rows[i].place] if logits.dim() == 3 else logits
            loss = functional.cross_entropy(logits, torch.tensor([lesson.wanted[i]]))
            parts.append(loss / (end - start) / len(starts))
    return dict(zip(own, torch.autograd.grad(sum(parts), list(own.values())), strict=True))


PLACES = [("bert", None), ("bert", 0), ("gpt2", None), ("gpt2", 0), ("llama", None), ("llama", 0)]


@pytest.mark.parametrize(("family", "layer"), PLACES)
@pytest.mark.parametrize("kind", [FrozenTail, FullForward])
def test_the_terms_of_gradients_are_the_gradients_of_the_model_s_own_matrices(family, layer, kind):
    tail = tail_of(family, layer, kind)
    lesson = lesson_of(tail, examples_for(family)[:2])
    bank = FactorBank(tail.site, "ffn")
    found = gradients_of(bank, lesson, range(len(lesson.rows)), tail)
    wanted = gradient_of_the_model(tail, lesson)
    for name, one in bank.maps.items():
        close(one.as_kept(found.gave[name].T @ found.given[name]), wanted[one.weight])
    several = len(lesson.rows) if layer is None else len({i for row in lesson.rows for i in range(len(row.tokens))})
    assert len(found.queries) == len(lesson.rows)
    assert all(len(k) >= several for k in found.given.values())


@pytest.mark.parametrize("editor", [MEND(rate=0.5), KnowledgeEditor(rate=1.0), MaskedMEND(rate=0.5)])
@pytest.mark.parametrize(("family", "layer"), [("bert", None), ("llama", 0)])
def test_before_training_an_edit_is_a_step_down_the_gradient(editor, family, layer):
    """W' = W − ρ · grad W; of KnowledgeEditor, whose gate stands half open, ρ ÷ 2 in units of its gradients."""
    tail = tail_of(family, layer)
    bank, lesson = editor.start(tail.site), lesson_of(tail, examples_for(family)[:2])
    wanted = gradient_of_the_model(tail, lesson)
    memory = pp.editors.Memory(*[pp.editors.MemoryRows([], torch.empty(0, tail.site.read_size).double())] * 2)
    fit = editor.learn(bank, lesson, tail, memory)
    assert (fit.steps, fit.drawn, fit.reason) == (1, tuple(range(len(lesson.rows))), UNTRAINED)
    own = tail.site.matrices("ffn")
    for name, weight in bank.weights().items():
        close(weight, own[name].detach() - 0.5 * wanted[name])
    assert set(bank.owners) == {"a"}


def test_without_a_net_it_is_said_once_and_nothing_is_hidden():
    model, tokenizer = tiny_model("bert")
    with pytest.warns(PolypatchWarning, match="without a trained net"):
        edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(40), recipe=Recipe(MEND()))
    outcomes = [one for one in edited.edit(tiny_edits(3)) if one.triggered]
    assert outcomes
    assert all("polypatch train-editor" in one.reason for one in outcomes if not one.success)
    edited.unload()


@pytest.mark.parametrize("layer", [None, 0])
@pytest.mark.parametrize("editor", [MEND(rate=3e3), MALMEN(rate=3e3), KnowledgeEditor(rate=6e3)])
def test_a_step_of_the_right_length_takes_in_every_language(editor, layer):
    """Untrained nets go downhill: some length of a step makes an edit right."""
    model, tokenizer = tiny_model("bert")
    took = []
    for power in range(6):
        recipe = Recipe(
            dataclasses.replace(editor, rate=editor.rate / 4**power), AllLanguages(), Trigger.ANY, layer=layer
        )
        edited = pp.attach(model, tokenizer=tokenizer, memory=tiny_texts(40), recipe=recipe)
        took.append(sum(one.success for one in edited.edit(tiny_edits(1, seed=4))))
        edited.unload()
    assert any(took)


def test_terms_of_texts_are_those_of_their_mean():
    """Texts one by one, each a share: MEND's terms are the gradient of the mean over texts, whatever their tokens."""
    tail = tail_of("llama", None)
    lesson = lesson_of(tail, speaking_edits(1)[0].examples)
    bank = FactorBank(tail.site, "ffn")
    parts, groups = by_text(bank, lesson, range(len(lesson.rows)), tail)
    whole = gradients_of(bank, lesson, range(len(lesson.rows)), tail)
    assert groups == [group_of(lang) for lang in ("en", "de", "fr")]
    for name in bank.maps:
        close(sum(one.gave[name].T @ one.given[name] for one in parts), whole.gave[name].T @ whole.given[name])


EN, DE = group_of("en"), group_of("de")


@pytest.mark.parametrize("plain", [MEND(), KnowledgeEditor()])
def test_a_mask_with_all_gates_shut_changes_nothing_and_one_with_open_ones_its_own_group(plain):
    """Its gates open by a; a group that it was not trained on goes as it came."""
    masked = {MEND: MaskedMEND, KnowledgeEditor: MaskedKnowledgeEditor}[type(plain)]()
    tail = tail_of("bert", None)
    lesson = lesson_of(tail, tiny_edits(1)[0].examples[:1])
    found, _ = by_text(FactorBank(tail.site, "ffn"), lesson, range(1), tail)
    net, bare = masked.untrained(tail.site, (EN, DE)), plain.untrained(tail.site)
    with torch.no_grad():
        for name in net.maps:
            net.mask.a[name][0], net.mask.a[name][1] = -9.0, 9.0
            for group, same in ((EN, True), (DE, False), (group_of("fr"), True)):
                terms, wanted = net(found, [group])[name], bare(found, [group])[name]
                assert torch.equal(terms[0], wanted[0]) == same
                assert torch.equal(terms[1], wanted[1]) == same


def test_gates_are_a_hard_concrete_and_their_penalty_has_a_gradient():
    mask = GroupMask((EN,), {"up": 4000}, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        mask.a["up"].fill_(0.7)
    mask.noise = torch.Generator().manual_seed(1)
    gates = mask.factor("up", 0).detach() - 1
    assert float(gates.min()) == 0
    assert float(gates.max()) == 1
    share = float((gates > 0).double().mean())
    assert abs(share - float(mask.open().detach())) < 0.03, "the penalty is the probability that a gate is open"
    (gradient,) = torch.autograd.grad(mask.open(), [mask.a["up"]])
    assert bool((gradient > 0).all())
    mask.noise = None
    assert torch.allclose(mask.factor("up", 0) - 1, torch.tensor(0.7).double().sigmoid() * 1.2 - 0.1)


def test_a_group_is_one_number_for_a_language_in_every_process():
    assert group_of("de") == group_of("~de") == group_of("de#2") == 25701
    assert len({group_of(lang) for lang in ("en", "de", "zh", "zh-Hant")}) == 4


def test_malmen_of_an_identity_net_is_ultra_edit_where_all_are_of_one_scale():
    """The two closed forms, each in its own file: [k; g] as they are, in units of 1."""
    as_they_are = Pairs(torch.ones(2, F, dtype=torch.float64), torch.ones(2, D, dtype=torch.float64))
    ultra = change(step(Pairs(KEYS, GRADIENTS), as_they_are, float(RATE), float(DAMPING)))
    torch.testing.assert_close(change(malmen(KEYS, GRADIENTS, DAMPING)), ultra, atol=1e-4, rtol=1e-4)
    assert float(ultra.abs().max()) > 0.1
