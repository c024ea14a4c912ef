"""What the unedited model says to rows, remembered: a vocabulary is not asked again where no change is felt.

A change that leaves the feed-forward layer's output of a row as it is, bit for bit, leaves what is said to it. Patches
are silent at nearly every row, and the map to a vocabulary is most of what a row costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from polypatch.sites.encoding.tokens import KEPT
from polypatch.sites.rows import Row, Said

Key = tuple[bytes, int | None]
"""Of a row, and the id whose probability is asked for; None for that of what is said."""

Ask = Callable[[Sequence[Row], Sequence[int]], Said]
"""Asks a model what it says to n rows, and how probable n ids are, or what it says."""


class Unedited:
    """(row, id) ↦ what the unedited model says, and a probability; of as many as `KEPT`."""

    def __init__(self) -> None:
        self._known: dict[Key, tuple[int, float]] = {}

    def said(self, rows: Sequence[Row], wanted: Sequence[int], felt: Sequence[bool], bare: Ask, edited: Ask) -> Said:
        """What the edited model says.

        Args:
            rows: n of them.
            wanted: n ids, or none.
            felt: for each row, whether the change is felt there.
            bare: the model without the change.
            edited: the model with it.
        """
        about: Sequence[int | None] = wanted or [None] * len(rows)
        asked = [(row.key, one) for row, one in zip(rows, about, strict=True)]
        there, others = ([i for i, one in enumerate(felt) if one is flag] for flag in (True, False))
        known = self._of({asked[i]: i for i in others}, rows, wanted, bare)
        anew = edited([rows[i] for i in there], [wanted[i] for i in there] if wanted else [])
        ids, probability = torch.empty(len(rows), dtype=torch.long), torch.empty(len(rows), dtype=torch.float64)
        ids[there], probability[there] = anew.ids, anew.probability
        ids[others] = torch.tensor([known[asked[i]][0] for i in others], dtype=torch.long)
        probability[others] = torch.tensor([known[asked[i]][1] for i in others], dtype=torch.float64)
        return Said(ids, probability)

    def _of(
        self, needed: dict[Key, int], rows: Sequence[Row], wanted: Sequence[int], bare: Ask
    ) -> dict[Key, tuple[int, float]]:
        """What is known with all that is needed in it: key -> where it stands in `rows`."""
        known = self._known
        if len(known) + len(needed.keys() - known.keys()) > KEPT:
            self._known = known = {}
        fresh = {one: i for one, i in needed.items() if one not in known}
        if fresh:
            places = list(fresh.values())
            said = bare([rows[i] for i in places], [wanted[i] for i in places] if wanted else [])
            known.update(zip(fresh, zip(said.ids.tolist(), said.probability.tolist(), strict=True), strict=True))
        return known
