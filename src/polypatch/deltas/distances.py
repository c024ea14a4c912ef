"""How far queries are from others, also where that is next to nothing."""

from __future__ import annotations

import torch
from torch import Tensor


def distances(q: Tensor, others: Tensor) -> Tensor:
    """``‖qᵢ − oⱼ‖`` in the type of the others: [n, d], [m, d] -> [n, m]."""
    # Not by way of a matrix product, whose rounding a short distance between long vectors does not survive.
    return torch.cdist(q.to(others.dtype), others, compute_mode="donot_use_mm_for_euclid_dist")
