"""Gradients at positions: their products are the gradients of the matrices, by autograd alone."""

import dataclasses

import pytest
import torch
from torch.nn import functional

import polypatch as pp
from polypatch.deltas import FactorBank
from polypatch.editors import Lesson, gradients
from polypatch.editors.gradients import gradients_of
from polypatch.recipes import RECIPES
from polypatch.sites import UNCHANGED
from polypatch.sites.rows import flat
from polypatch.testing import tiny_edits, tiny_model, tiny_texts
from speaking import speaker, speaking_edits


def case(family, layer, *, exact=False):
    """A model with a delta that has terms in every map, and a lesson of all languages of an edit."""
    classifier = family == "bert"
    model, tokenizer = tiny_model(family) if classifier else speaker(family)
    recipe = dataclasses.replace(RECIPES["rome"], layer=layer)
    edited = pp.attach(
        model, tokenizer=tokenizer, memory=tiny_texts(8), recipe=recipe, encoding=pp.Encoding(exact=exact)
    )
    bank, generator = FactorBank(edited.site, "ffn"), torch.Generator().manual_seed(0)
    sizes = {name: (one.out, one.given) for name, one in bank.maps.items()}
    bank.extend("before", {n: tuple(0.3 * torch.randn(2, i, generator=generator) for i in s) for n, s in sizes.items()})
    edit = (tiny_edits(1) if classifier else speaking_edits(1))[0]
    questions = edited.ask(edit.examples)
    rows, wanted = flat(questions)
    index = [i for question in questions for i in range(len(question.rows))]
    lesson = Lesson("edit", rows, wanted, lambda: range(len(rows)), torch.Generator(), index)
    return edited, bank, lesson


def by_autograd(edited, bank, lesson, picks):
    """∂L/∂W of every map, the loss written out text by text."""
    weights = {name: matrix.clone().requires_grad_() for name, matrix in bank.weights().items()}

    def changed(q, out):
        return edited.site.layer.ffn_with(q, weights)

    changed.overrides = {}
    rows = edited.tail.rows([lesson.rows[i] for i in picks], UNCHANGED, views=0, generator=lesson.generator)
    logits, texts = rows.evaluate(changed)[1], []
    for at, pick in enumerate(picks):
        if lesson.index[pick] == 0:
            texts.append([])
        texts[-1].append(functional.cross_entropy(logits[at : at + 1], torch.tensor([lesson.wanted[pick]])))
    loss = sum(sum(tokens) / len(tokens) for tokens in texts) / len(texts)
    found = torch.autograd.grad(loss, list(weights.values()))
    return {name: one.as_kept(found[list(weights).index(one.weight)]) for name, one in bank.maps.items()}


def worst(edited, bank, lesson):
    last = len(lesson.rows) - 1
    picks = [i for i in range(last) if i < last - lesson.index[last]]  # all texts but the last
    found, wanted = gradients_of(bank, lesson, picks, edited.tail), by_autograd(edited, bank, lesson, picks)
    edited.unload()
    assert len({len(rows) for rows in (*found.given.values(), *found.gave.values())}) == 1
    gaps = [(found.gave[n].T @ found.given[n] - wanted[n]).abs().max() / wanted[n].abs().max() for n in wanted]
    return float(max(gaps))


CASES = [("bert", None, False), ("bert", 0, False), ("gpt2", None, False), ("llama", 0, False), ("llama", None, True)]


@pytest.mark.parametrize(("family", "layer", "exact"), CASES)
def test_products_of_what_is_given_and_gradients_are_the_matrices_gradients(family, layer, exact):
    assert worst(*case(family, layer, exact=exact)) < 1e-4


def test_a_loss_that_counts_every_token_alike_is_caught(monkeypatch):
    edited, bank, lesson = case("gpt2", None)
    sizes = {lesson.index.count(i) for i in set(lesson.index)}
    assert len(sizes) > 1, "answers of several lengths"
    monkeypatch.setattr(Lesson, "shares", lambda self, picks: torch.full((len(picks),), 1 / len(picks)))
    assert worst(edited, bank, lesson) > 1e-2


def test_gradients_of_the_unedited_model_are_caught(monkeypatch):
    edited, bank, lesson = case("bert", None)
    inside = gradients.InsideLayer.__init__
    monkeypatch.setattr(gradients.InsideLayer, "__init__", lambda self, layer, weights: inside(self, layer, {}))
    assert worst(edited, bank, lesson) > 1e-2
