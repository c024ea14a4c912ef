"""The value of a neuron whose key is there already: by projections at the last layer, by Adam below it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.editors.placed import Placed
from polypatch.sites import Trainable

BEYOND = 0.05
"""By so much, in logits, a projection aims past what is wanted, so that the next row does not undo it at once."""

LONGEST = 100.0
"""Of a value, in units of its rows' queries. Where what is wanted lies beyond what the model's norm lets through, each
projection makes it longer, up to lengths at which an activation next to zero is heard; others are a few units long."""


@dataclass(frozen=True)
class Aim:
    """What a value is to reach.

    Attributes:
        margin: by which the wanted id leads the next one, in logits.
        log_odds: of the wanted id against all others; −∞ where no confidence is asked for.
        max_steps: to get there.
        learning_rate: of Adam, in units of the queries' root mean square.
    """

    margin: float
    log_odds: float
    max_steps: int
    learning_rate: float


def projected(neuron: Placed, rows: Trainable, targets: Tensor, aim: Aim) -> tuple[Tensor, int, bool]:
    """v, the steps it took, and whether every row says what is wanted.

    Each step projects v onto what is wanted of the row that lacks most, which is linearised: with s(v) its lead
    over the largest other id, wanted to be m, or its log-odds, wanted to be log(c ÷ (1 − c)),
    v ← v + (wanted − s) ∇s ÷ ‖∇s‖², a passive-aggressive step. What is said rarely never becomes so likely, however
    long the value; where the steps end without the answers, the lead alone is asked for, from the start again.
    """
    value, steps, held = _projected(neuron, rows, targets, aim)
    if held or aim.log_odds == -math.inf:
        return value, steps, held
    value, more, held = _projected(neuron, rows, targets, dataclasses.replace(aim, log_odds=-math.inf))
    return value, steps + more, held


def _projected(neuron: Placed, rows: Trainable, targets: Tensor, aim: Aim) -> tuple[Tensor, int, bool]:
    value = neuron.value
    picks = torch.arange(len(targets), device=targets.device)
    longest = LONGEST * float(rows.q[:, : len(value)].norm(dim=1).max())
    for step in range(aim.max_steps + 1):
        value = value.detach().requires_grad_()
        logits = rows.forward(picks, dataclasses.replace(neuron, value=value))[1]
        wanted, others = _parted(logits, targets)
        lead = wanted - others.max(1).values
        room = torch.cat([lead - aim.margin, wanted - others.logsumexp(1) - aim.log_odds])
        worst = room.argmin()
        if float(room[worst].detach()) >= 0 or step == aim.max_steps:
            break
        (slope,) = torch.autograd.grad(room[worst], value)
        value = value + (BEYOND - room[worst].detach()) * slope / slope.dot(slope)
        if not float(value.detach().norm()) <= longest:  # NaN as well
            return neuron.value, step, False
    return value.detach(), step, bool((lead > 0).all())


def trained(neuron: Placed, rows: Trainable, targets: Tensor, aim: Aim) -> tuple[Tensor, int, bool]:
    """The same below the last layer, by Adam on the cross-entropy of all rows through the layers above."""
    picks = torch.arange(len(targets), device=targets.device)
    value = neuron.value.clone().requires_grad_()
    optimiser = torch.optim.Adam([value], lr=aim.learning_rate * float(rows.q.square().mean().sqrt()))
    for step in range(aim.max_steps + 1):
        logits = rows.forward(picks, dataclasses.replace(neuron, value=value))[1]
        wanted, others = _parted(logits.detach(), targets)
        lead, odds = wanted - others.max(1).values, wanted - others.logsumexp(1)
        if step == aim.max_steps or bool(((lead >= aim.margin) & (odds >= aim.log_odds)).all()):
            break
        (value.grad,) = torch.autograd.grad(functional.cross_entropy(logits, targets), [value])
        optimiser.step()
    return value.detach(), step, bool((lead > 0).all())


def _parted(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Per row, the wanted id's logit [n], and the others' [n, width], the wanted one's −∞ among them."""
    columns = targets.unsqueeze(1)
    return logits.gather(1, columns).squeeze(1), logits.scatter(1, columns, float("-inf"))
