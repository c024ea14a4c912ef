"""Keys that are computed and not trained: the linear discriminant of an edit's queries against the memory."""

from __future__ import annotations

import torch
from torch import Tensor

from polypatch.editors.memory import MemoryRows
from polypatch.errors import InputError

FLOOR = 1e-9
"""Of the ridge, in units of the queries' mean square: a memory of one text, or of equal ones, has no covariance. Far
above the rounding of sums in float64, far below λ times any covariance that tells texts apart."""


def discriminant(q: Tensor, rows: MemoryRows, shrinkage: float, scatter: float, near: Tensor | None = None) -> Tensor:
    """The direction that tells queries from the memory, scaled so that their mean is at 1 from the memory's.

        k = (C + s·S + λ·tr(C)/d·I + Σ_j (n_j − μ)(n_j − μ)ᵀ)⁻¹ (q̄ − μ)

    Args:
        q: the edit's queries [n, d], of mean q̄ and covariance S.
        rows: the memory, of mean μ and covariance C.
        shrinkage: λ.
        scatter: s.
        near: n_j [m, d], each with the weight of a whole covariance: the key is all but blind along them. A row that
            stands there twice counts twice.

    Returns:
        k [d].

    Raises:
        InputError: the queries are not finite.
    """
    mean, spread = rows.moments.of(rows) if rows.used else _no_moments(q)
    inside = q.double() - q.double().mean(0)
    away = q.double().mean(0) - mean
    floor = FLOOR * float(q.double().square().mean() + mean.square().mean())
    ridge = max(shrinkage * float(spread.diagonal().mean()), floor)
    spread = spread + scatter * (inside.T @ inside) / len(q)
    if near is not None:
        beside = near.double() - mean
        spread = spread + beside.T @ beside
    spread.diagonal().add_(ridge)
    if not bool(spread.isfinite().all()):
        raise InputError("the model's hidden states of these texts are not finite numbers; look at its weights")
    # Without a check: it fails only where all queries are 0, and then the key is NaN, which tells nothing apart.
    factor = torch.linalg.cholesky_ex(spread).L
    key = torch.cholesky_solve(away.unsqueeze(1), factor).squeeze(1)
    return (key / key.dot(away)).to(q)


def _no_moments(q: Tensor) -> tuple[Tensor, Tensor]:
    """Of a memory without rows: nothing to be told from, in any direction."""
    return q.new_zeros(q.shape[1]).double(), torch.eye(q.shape[1], dtype=torch.float64, device=q.device)
