"""The loss against sums worked out by hand in float64."""

import math
from types import SimpleNamespace

import pytest
import torch

from polypatch.training.objective import classification_loss, trainer_loss

from .conftest import training

LOGITS = [[2.0, -1.0, 0.5], [0.0, 0.3, -0.2]]
GOLD = [0, 2]


def by_hand(kind, eps):
    total = 0.0
    for logits, gold in zip(LOGITS, GOLD, strict=True):
        norm = math.log(sum(math.exp(x) for x in logits))
        log = [x - norm for x in logits]
        total -= log[gold] * (1 - eps if kind == "label-smoothing" else 1.0)
        if kind == "label-smoothing":
            total -= eps / 3 * sum(log)
        if kind == "entropy":
            total -= eps * -sum(math.exp(x) * x for x in log)
    return total


@pytest.mark.parametrize("kind", ["entropy", "label-smoothing", "adam-epsilon"])
@pytest.mark.parametrize("eps", [0.0, 0.1])
def test_the_loss_is_what_its_docstring_says(kind, eps):
    settings = training(eps=eps, eps_means=kind).settings
    loss = classification_loss(torch.tensor(LOGITS), torch.tensor(GOLD), settings)
    assert float(loss) == pytest.approx(by_hand(kind, eps), abs=1e-6)


def test_the_entropy_term_rewards_uncertainty():
    sure, unsure = torch.tensor([[6.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    gold = torch.tensor([0])
    gap = [
        float(classification_loss(unsure, gold, training(eps=eps).settings))
        - float(classification_loss(sure, gold, training(eps=eps).settings))
        for eps in (0.0, 0.1)
    ]
    assert gap[1] < gap[0]


def test_batches_that_make_up_a_step_weigh_by_their_rows():
    loss = trainer_loss(training().settings)
    logits, gold = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 1, 0])
    whole = loss(SimpleNamespace(logits=logits), gold)
    parts = [
        loss(SimpleNamespace(logits=logits[a:b]), gold[a:b], num_items_in_batch=torch.tensor(5))
        for a, b in ((0, 4), (4, 5))
    ]
    assert float(sum(parts)) == pytest.approx(float(whole), abs=1e-6)
