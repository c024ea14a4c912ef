"""Transformer-Patcher's losses, as pure functions (`docs/deviations.md` says where paper and released code differ).

Symbols: z [B] are the patch's pre-activations q·k + b on the edit's rows, h [M] on memory rows, both differentiable.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def edit_loss(logits: Tensor, targets: Tensor, entropy_weight: float = 0.0) -> Tensor:
    """``L_e = mean CE(logits, y) − w · mean H(softmax(logits))`` (eq. 9 of MPN for the cross-entropy).

    Args:
        logits: [B, classes].
        targets: [B] class indices.
        entropy_weight: w; the released code has 0.1, an entropy *bonus* and not label smoothing.

    **Deviates:** the released FEVER model has one logit and a binary cross-entropy; K = 2 classes with a softmax are
    the same model with the logit difference as that logit, K > 2 its natural extension.
    """
    log_p = logits.log_softmax(-1)
    loss = functional.nll_loss(log_p, targets)
    if entropy_weight:
        loss = loss + entropy_weight / len(logits) * (log_p.exp() * log_p).sum()
    return loss


def activation_loss(z: Tensor, top: int = 5, margin: float = 0.0) -> Tensor:
    """``L_a = mean of the `top` largest exp(margin − z_j)``: the patch must fire on its own edit."""
    return (margin - z).topk(min(top, len(z))).values.exp().mean()


def memory_loss(h: Tensor, z: Tensor, top: int = 1000, edit_margin: float = 3.0, memory_margin: float = 3.0) -> Tensor:
    """``L_m = l_m1 + l_m2``: the patch must stay silent on memory, and quieter there than on its edit.

    ``l_m1`` = mean of the `top` largest ``exp(h_i − z_j + edit_margin)`` over all M × B pairs; ``l_m2`` = mean of the
    `top` largest ``exp(h_i + memory_margin)`` where every h_i counts B times, as the released code stacks them.

    Args:
        h: activations of the memory's loudest rows, in falling order: ``min(top, M)`` of them, for a pair's score falls
            with h_i, or as many as `Loudest.activations` finds to be enough for this z.
        z: [B] activations on the edit's rows; exp(−z) has to be finite, here as in `activation_loss`.
        top: pairs that enter each mean.
        edit_margin: m1; the memory has to stay this far below the edit.
        memory_margin: −m2; the memory has to stay this far below zero. The released code has m2 = −3, subtracted.
    """
    pairs = h.detach().unsqueeze(1) - z.detach()
    count = min(top, pairs.numel())
    # Which pairs and rows enter has no gradient. With that, L_m = Σ_i exp(h_i) (Σ_j enters_ij exp(−z_j) + weight_i):
    # five nodes on the tape, where one for each mean and each exponential takes a small model half as long again.
    chosen = pairs.flatten().topk(count, sorted=False).indices
    enters = torch.zeros_like(pairs).flatten().index_fill_(0, chosen, math.exp(edit_margin) / count).view_as(pairs)
    # The B-fold stack is never built: `whole` rows enter B times, one more enters `rest` times.
    whole, rest = divmod(count, len(z))
    weight = torch.zeros_like(h)
    weight[:whole] = len(z) * math.exp(memory_margin) / count
    if rest:
        weight[whole] = rest * math.exp(memory_margin) / count
    return h.exp().dot(torch.addmv(weight, enters, z.neg().exp()))


def kl_to_original(original: Tensor, edited: Tensor) -> Tensor:
    """``KL(softmax(original) ‖ softmax(edited))``, mean over rows: the optional locality term of fine-tuning."""
    return functional.kl_div(edited.log_softmax(-1), original.log_softmax(-1), log_target=True, reduction="batchmean")


def accuracy_all(logits: Tensor, targets: Tensor) -> bool:
    """Whether every row is classified right."""
    return bool(torch.equal(logits.argmax(-1), targets))
