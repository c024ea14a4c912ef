"""GradientBank: a FactorBank that remembers of each term the gradient that it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from polypatch.deltas.factor_bank import RIGHT, FactorBank
from polypatch.deltas.published import seen_together

GRADIENT = "_gradient"


class GradientBank(FactorBank):
    """``W' = W + Σᵢ lᵢ rᵢᵀ``, where rᵢ is what W was given at a position, and beside them gᵢ, the gradient there.

    What an editor wants to know of all edits so far, their mean or their spread, is worked out from what stands here:
    an edit that is cut out is out of that as well.
    """

    kind = "gradient-factors"
    parts: ClassVar[Mapping[str, str]] = {**FactorBank.parts, GRADIENT: "out"}

    def seen(self, name: str) -> tuple[Tensor, Tensor]:
        """Of a map r [n, given] and g [n, out], of all terms."""
        now = seen_together(self)
        return now[name + RIGHT], now[name + GRADIENT]
