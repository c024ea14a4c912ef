"""The loss of fine-tuning: cross-entropy, and what Table 4's "eps" adds to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from polypatch.training.presets import HyperParameters


def classification_loss(logits: Tensor, labels: Tensor, settings: HyperParameters) -> Tensor:
    """The sum over rows of the loss that `settings` ask for, in float32.

    ``entropy``: Σ (CE(row) − eps · H(softmax(row))); ``label-smoothing``: Σ CE against (1 − eps) · one-hot + eps / C;
    ``adam-epsilon``: Σ CE.

    Args:
        logits: shape [n, classes].
        labels: class ids, shape [n].
        settings: ``eps`` and ``eps_means`` are read.

    Source: the entropy term is that of the released Transformer-Patcher's classifier, which has one logit.
    """
    logits = logits.float()
    smoothing = settings.eps if settings.eps_means == "label-smoothing" else 0.0
    loss = functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
    if settings.eps_means == "entropy" and settings.eps:
        log = logits.log_softmax(dim=-1)
        loss = loss + settings.eps * (log.exp() * log).sum()  # Σ p log p is the entropy, negative
    return loss


def trainer_loss(settings: HyperParameters) -> Callable[..., Tensor]:
    """`classification_loss` as Hugging Face's Trainer calls it.

    The mean is over all rows of the optimiser step (`num_items_in_batch`), also where several small batches or devices
    make up one: the mean of their means would weigh the rows of a short last batch more.
    """

    def loss(outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        rows = len(labels) if num_items_in_batch is None else num_items_in_batch
        if isinstance(rows, torch.Tensor):
            rows = rows.to(outputs.logits.device)
        return classification_loss(outputs.logits, labels, settings) / rows

    return loss
