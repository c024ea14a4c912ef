"""The value of a neuron: what is asked for is reached, or the answer alone where the model is never so sure of it."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch.nn.functional import gelu

from polypatch.editors.placed import Placed
from polypatch.editors.values import LONGEST, Aim, _projected, projected

WIDTH, WORDS, LENGTH = 8, 400, 3.0


@dataclass
class Normalised:
    """Rows whose logits are W·h ÷ ‖h‖, times a length, as behind a norm: they grow no further with the value."""

    head: torch.Tensor
    q: torch.Tensor

    def forward(self, picks, change):
        q = self.q[picks]
        h = change(q, torch.ones(len(picks), WIDTH))
        return q, LENGTH * (h / h.norm(dim=1, keepdim=True)) @ self.head.T


def neuron(value=None):
    at = torch.tensor
    return Placed(torch.ones(WIDTH), at(1.0), at(0.0), torch.zeros(WIDTH) if value is None else value, gelu)


def logits(value):
    return rows().forward(torch.tensor([0]), neuron(value))[1]


def rows():
    generator = torch.Generator().manual_seed(0)
    head = torch.randn(WORDS, WIDTH, generator=generator)
    return Normalised(head / head.norm(dim=1, keepdim=True), torch.ones(1, WIDTH) / 2)


def test_an_answer_that_is_never_so_likely_is_said_all_the_same():
    """exp(3) ÷ (exp(3) + 399 others of about 1) is some 5 %: no value makes it 60 %."""
    unlikely = Aim(margin=0.01, log_odds=math.log(0.6 / 0.4), max_steps=40, learning_rate=0.05)
    for wanted in range(0, WORDS, 40):
        target = torch.tensor([wanted])
        value, _, held = projected(neuron(), rows(), target, unlikely)
        assert held, wanted
        assert int(logits(value).argmax()) == wanted
        assert float(value.norm()) < LONGEST * float(rows().q.norm())
        assert not _projected(neuron(), rows(), target, unlikely)[2]  # so likely it is made by no value


@pytest.mark.parametrize("confidence", [0.01, 0.02])
def test_where_it_can_be_so_likely_it_is(confidence):
    likely = Aim(margin=0.01, log_odds=math.log(confidence / (1 - confidence)), max_steps=40, learning_rate=0.05)
    value, _, held = projected(neuron(), rows(), torch.tensor([7]), likely)
    assert held
    assert float(logits(value).softmax(1)[0, 7]) >= confidence
