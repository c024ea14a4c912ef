"""ReMaKE: the fact that is nearest to a text is read before it, if it is near enough (Wang et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from polypatch.deltas import TextStore
from polypatch.editors.memory import MemoryRows
from polypatch.editors.read_facts import ReadFacts, Share, above_most, known_places


@dataclass(frozen=True, kw_only=True)
class ReMaKE(ReadFacts):
    """Retrieval, and one threshold for all facts: no more than a `share` of other texts is as near to any.

    Source: Wang et al. 2024, ReMaKE (arXiv:2312.13040).

    **Deviates:** there, a multilingual classifier trained on pairs says whether a fact is the one that a text is asked
    about. Here the cosine does, above the value that a `share` of the memory's texts exceed with the nearest other
    text of their group.

    Attributes:
        share: of unrelated texts that a fact may be read before.
    """

    share: Share = 0.02

    def reaches(self, keys: Tensor, store: TextStore, known: MemoryRows) -> Tensor:
        """The same for all: the (1 − share) quantile of each text's nearest other text of its group."""
        places, groups = known_places(self, store, known)
        nearest = [_nearest_other(places[groups == group]) for group in set(groups.tolist())]
        return above_most(torch.cat(nearest), self.share).expand(len(keys))


def _nearest_other(places: Tensor) -> Tensor:
    """The cosine of each of m texts with the nearest other: [m, K] -> [m]."""
    return (places @ places.T).fill_diagonal_(-1.0).amax(1)
