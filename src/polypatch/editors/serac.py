"""SERAC: a fact is read before the texts in its scope, which is drawn for it alone (Mitchell et al., 2022)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from polypatch.deltas import TextStore
from polypatch.editors.memory import MemoryRows
from polypatch.editors.read_facts import ReadFacts, Share, above_most, known_places


@dataclass(frozen=True, kw_only=True)
class SERAC(ReadFacts):
    """A text is in the scope of a fact where ``exp(−sᵢ ‖u − kᵢ‖²) > ½``; of several the one with the most is read.

    sᵢ is such that a `share` of the memory's texts are in the scope: none, unless told otherwise. With a hundred facts
    even a hundredth for each would be most of them.

    Source: Mitchell et al. 2022, SERAC (arXiv:2206.06520).

    **Deviates:** there, the scope's encoder is trained and s is one for all; a small counterfactual model, trained as
    well, answers in the scope, and both models' probabilities are mixed. Here the encoder is the user's
    (``reads="text:NAME"``) or the means of the model's own token embeddings, s is worked out for each fact, and the
    edited model itself reads the fact and answers.

    Attributes:
        share: of the memory's texts that are in a fact's scope.
    """

    share: Share = 0.0

    def reaches(self, keys: Tensor, store: TextStore, known: MemoryRows) -> Tensor:
        """The (1 − share) quantiles of the memory's cosines: there ‖u − k‖² = ln 2 ÷ s."""
        places, _ = known_places(self, store, known)
        return above_most(places @ keys.T, self.share)
