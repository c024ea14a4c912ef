"""RidgeBank: a FactorBank whose terms do not add up, but say what the sum is to give: one least-squares fit of all."""

from __future__ import annotations

import torch
from torch import Tensor

from polypatch.deltas.factor_bank import FactorBank


class RidgeBank(FactorBank):
    """``W' = W + ΔW`` with the least ``Σᵢ ‖ΔW rᵢ − lᵢ‖² + ‖ΔW‖²``, that is ``ΔW = Lᵀ R (I + Rᵀ R)⁻¹``.

    A weight of ‖ΔW‖² other than 1 is in the length of the terms: of all l and r, divided by its root. The fit is made
    anew whenever terms come or go, so that without an edit it is that of the others.
    """

    kind = "ridge-factors"

    def added(self, left: Tensor, right: Tensor) -> Tensor:
        """ΔW [out, given], in as many dimensions as there are terms, or as the map is given: whichever is less."""
        keys, wanted = right.double(), left.double()
        few = len(keys) < keys.shape[1]
        one = torch.eye(min(keys.shape), dtype=keys.dtype, device=keys.device)
        factor = torch.linalg.cholesky(one + (keys @ keys.T if few else keys.T @ keys))
        solved = torch.cholesky_solve(keys if few else keys.T @ wanted, factor)
        return (wanted.T @ solved if few else solved.T).to(left.dtype)
