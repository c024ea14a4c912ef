"""The rows that pruning must leave as they are, and what each neuron of a bank adds to them.

With A = act(Q Kᵀ + b) [rows, neurons] and the FFN output O [rows, d] under the whole bank, the model without neuron i
is O − A[:, i] vᵢ, and only the rows in which i fires are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polypatch.deltas import PatchBank
from polypatch.errors import TailMismatchError
from polypatch.sites import FeedForwardSite, Queries
from polypatch.sites.tails.tail import slice_of

SLACK = 1e-4
"""By so much, in logits, an answer must lead to count as kept: more than rounding can undo."""

FAINT = 1e-6
"""Activations below it are no activations."""

WIDEST = 2**26
"""Numbers that logits may have at a time: those of a classifier are there at once, those of a vocabulary are not."""


@dataclass(frozen=True, eq=False)
class FiringNeuron:
    """One neuron, the rows [m] in which it fires, and how loudly [m].

    Attributes:
        owner: the edit it belongs to.
        key, bias, value: k [d], b, v [d].
        rows, fired: where it fires, and its activations there.
    """

    owner: str
    key: Tensor
    bias: Tensor
    value: Tensor
    rows: Tensor
    fired: Tensor


class Protected:
    """Rows with the answers they must keep.

    Args:
        site: where the edits are.
        bank: the edits.
        queries: of n rows, those of the edits first.
        targets: the ids wanted of the edits' rows [e]; one that is right stays right, one that is wrong is free.
            The other n − e rows are the memory's: each keeps its answer, or goes back to the unedited model's.
        max_changed: so many rows of the memory may change all the same.
    """

    @torch.no_grad()
    def __init__(
        self, site: FeedForwardSite, bank: PatchBank, queries: Queries, targets: Tensor, max_changed: int = 0
    ) -> None:
        self.site, self.bank, self.queries, self.max_changed = site, bank, queries, max_changed
        self.q = q = queries.q
        self.ffn = site.ffn(q)
        self.out = bank(q, self.ffn)
        answers, unedited = self._answers(self.out), self._answers(self.ffn)
        self.texts = len(targets)
        self.answer = torch.cat([targets, answers[self.texts :]])
        self.other = torch.cat([targets, unedited[self.texts :]])
        self.free = torch.zeros(len(q), dtype=torch.bool, device=q.device)
        self.free[: self.texts] = answers[: self.texts] != targets
        self.changed = torch.zeros_like(self.free)

    def look(self) -> list[FiringNeuron]:
        """The bank's neurons; everything is worked out anew, under the bank as it is.

        Raises:
            TailMismatchError: more rows have changed than may.
        """
        self.out = self.bank(self.q, self.ffn)
        found = self._answers(self.out)
        self.changed = (found != self.answer) & (found != self.other) & ~self.free
        if bool(self.changed[: self.texts].any()) or int(self.changed.sum()) > self.max_changed:
            raise TailMismatchError("pruning changed rows that it had found unchanged; please report this")
        parts = zip(self.bank.owners, self.bank.keys, self.bank.biases, self.bank.values, strict=True)
        return [self.neuron(*part) for part in parts]

    def neuron(self, owner: str, key: Tensor, bias: Tensor, value: Tensor) -> FiringNeuron:
        """A neuron with its activations in the rows."""
        fired = self.bank.activation(self.q.to(key.dtype) @ key + bias)
        rows = (fired.abs() > FAINT).nonzero().squeeze(1)
        return FiringNeuron(owner, key, bias, value, rows, fired[rows])

    def after(self, gone: Sequence[FiringNeuron], new: Sequence[FiringNeuron] = ()) -> tuple[Tensor, Tensor]:
        """The rows [m] that it touches, and the FFN output [m, d] there, if some neurons go and others come."""
        rows = torch.cat([neuron.rows for neuron in (*gone, *new)]).unique()  # type: ignore[no-untyped-call]
        out = self.out[rows]
        for sign, neurons in ((-1.0, gone), (1.0, new)):
            for neuron in neurons:
                places = torch.searchsorted(rows, neuron.rows)
                out[places] += (sign * neuron.fired.unsqueeze(1) * neuron.value).to(out.dtype)
        return rows, out

    def accept(self, rows: Tensor, out: Tensor) -> bool:
        """Take this over as the new state, if every row keeps its answer; says whether it was."""
        kept = self.kept(rows, out)
        changed = self.changed.clone()
        changed[rows] = ~kept
        if bool(changed[: self.texts].any()) or int(changed.sum()) > self.max_changed:
            return False
        self.out[rows], self.changed = out, changed
        return True

    def kept(self, rows: Tensor, out: Tensor) -> Tensor:
        """Per row, whether it has an answer it may have: [m]."""
        size = max(1, WIDEST // self.site.width)
        parts = [slice(i, i + size) for i in range(0, max(len(rows), 1), size)]
        tops = [self.site.logits(self.queries.at(rows[part]), out[part]).topk(2, dim=1) for part in parts]
        values, found = torch.cat([top.values for top in tops]), torch.cat([top.indices[:, 0] for top in tops])
        allowed = (found == self.answer[rows]) | (found == self.other[rows])
        return (allowed & (values[:, 0] - values[:, 1] > SLACK)) | self.free[rows]

    def needed(self, gone: Sequence[FiringNeuron]) -> Tensor:
        """The texts of edits that were wrong without these neurons: [m]."""
        rows, out = self.after(gone)
        own = rows < self.texts
        return rows[own][~self.kept(rows[own], out[own])]

    def _answers(self, out: Tensor) -> Tensor:
        size = slice_of(self.site.width)
        parts = (slice(i, i + size) for i in range(0, max(len(out), 1), size))
        return torch.cat([self.site.logits(self.queries.at(part), out[part]).argmax(-1) for part in parts])
