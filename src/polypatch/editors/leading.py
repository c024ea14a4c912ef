"""The directions along which most of a memory lies: a bound that knows them is tight for every row."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

COUNT = 24
"""Directions. More make a bound dearer at every step, fewer need more readings of the memory."""

SAMPLE = 1024
"""Rows that they are taken from."""


class Leading(NamedTuple):
    """Orthonormal directions and the rows' components along them.

    Attributes:
        basis: [n, d].
        components: [n, rows].
    """

    basis: Tensor
    components: Tensor


def leading(rows: Tensor) -> Leading:
    """About the leading directions of rows [M, d]: one step of subspace iteration from a few rows of a sample.

    There are min(`COUNT`, M, d) of them; none where the sample has numbers that are none.
    """
    sample = rows[:: len(rows) // SAMPLE + 1]
    few = sample[:: len(sample) // COUNT + 1]
    mixed = ((few @ sample.T) @ sample).double()
    if not bool(mixed.isfinite().all()):
        mixed = mixed[:0]
    basis = torch.linalg.qr(mixed.T).Q.T.to(rows).contiguous()
    return Leading(basis, basis @ rows.T)
