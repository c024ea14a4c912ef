"""ROME: a fact as one rank-one update of the matrix that writes the layer's output (Meng et al., 2022).

W' = W + δ uᵀ ÷ (uᵀk),    u = C⁻¹ k        so that W' k = W k + δ, and what is orthogonal to u stays
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from polypatch.editors.key_moments import KeyMoments
from polypatch.editors.memory import Memory
from polypatch.editors.shifts import Shifting, Terms, ToWrite
from polypatch.sites import FeedForwardSite


def rank_one(key: Tensor, shift: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """``l = δ ÷ (uᵀk)`` and ``r = u``, so that ``l rᵀ k = δ``. key, direction: [f]; shift: [d]."""
    return shift / (direction @ key), direction


@dataclass(frozen=True, kw_only=True)
class ROME(Shifting):
    """One key and one value for what an edit says, whatever the languages it is said in.

    Where an edit has several texts k is the mean of their keys, and δ is one for all, as in the paper it is over twenty
    prompts with other beginnings. The same k is in u, in W k and in the denominator, as R-ROME has it (Gupta et al.,
    2024, arXiv:2403.07175); ROME's own code mixes two, and breaks down after some edits in a row. An answer of several
    tokens is an update for each behind the last layer, one after another; below it one moves all of them.

    **Deviates:** see `polypatch.editors.shifts` for the position, and `KeyMoments` for C.
    Source: EasyEdit's ``rome`` and ``r_rome``, commit 14cea82, read as facts; `docs/deviations.md`.
    """

    together = True

    def terms(self, wanted: ToWrite, moments: KeyMoments, memory: Memory, site: FeedForwardSite) -> Iterator[Terms]:
        """One for each place of an answer."""
        del memory, site
        for place in sorted(set(wanted.places.tolist())):
            here = wanted.places == place
            key = wanted.keys[here].mean(0)
            left, right = rank_one(key, wanted.shifts[here][0], moments.solved(key.unsqueeze(0))[0])
            yield left.unsqueeze(0), right.unsqueeze(0)
