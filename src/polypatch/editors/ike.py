"""IKE: facts are read before every text, those that are nearest to it (Zheng et al., 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from polypatch.deltas import TextStore
from polypatch.editors.memory import MemoryRows
from polypatch.editors.read_facts import ReadFacts
from polypatch.settings import at_least


@dataclass(frozen=True, kw_only=True)
class IKE(ReadFacts):
    """In-context editing without a scope: every text is answered behind the facts nearest to it, whatever it is about.

    So other texts are answered anew as well: what that costs is in the locality.

    Source: Zheng et al. 2023, IKE (arXiv:2305.12740).

    **Deviates:** there, the fact that a text is asked about is given, and demonstrations of copying, updating and
    keeping are taken from a training set by a sentence encoder. Here nobody says which fact it is: it is looked up,
    by the encoder of ``reads="text:NAME"`` or by the means of the model's own token embeddings, and what is read
    before it are the next nearest facts.

    Attributes:
        shots: facts that are read before a text, at most.
    """

    shots: Annotated[int, at_least(1)] = 16

    @property
    def most(self) -> int:
        """As many as the shots."""
        return self.shots

    def reaches(self, keys: Tensor, store: TextStore, known: MemoryRows) -> Tensor:
        """Less than any cosine."""
        del store, known
        return keys.new_full((len(keys),), -2.0)
