"""Values put into a matrix by damped least squares, in as many dimensions as there are keys."""

from __future__ import annotations

import torch
from torch import Tensor


def least_changes(keys: Tensor, values: Tensor, damping: Tensor | float) -> tuple[Tensor, Tensor]:
    """The ΔW that is least in ``‖ΔW Kᵀ − Vᵀ‖² + damping · ‖ΔW‖²`` as n terms.

    Args:
        keys: K as rows [n, given].
        values: V as rows [n, out].
        damping: what a change costs.

    Returns:
        l [n, out] and r [n, given].
    """
    one = torch.eye(len(keys), dtype=keys.dtype, device=keys.device)
    return torch.linalg.solve(keys @ keys.T + damping * one, values), keys
