"""What an editor, a trigger or a metric sees of a model: a Tail. Two implementations, one meaning.

`FrozenTail` computes everything after the FFN input from cached queries; `FullForward` runs the whole model every time.
The first is tens of times faster, the second assumes nothing. Tests hold them to the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from polypatch.edits import Text
from polypatch.sites.encoding.maps import Maps
from polypatch.sites.readouts.readout import Readout
from polypatch.sites.rows import Queries, Question, Row, Said, Spoken, Standpoint, answered_right, flat
from polypatch.sites.site import FeedForwardSite
from polypatch.sites.tails.unedited import Unedited


class Change(Protocol):
    """What an edit does to the model, as the tail needs it; a `Delta` is one."""

    @property
    def overrides(self) -> Mapping[str, Tensor]:
        """Parameters replaced by name, for changes that reach outside the FFN; empty for those that do not."""
        ...

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """The FFN output [n, d] after the change, from the query [n, d] and the output before it [n, d]."""
        ...


class Trainable(Protocol):
    """A few rows made ready to be trained on, under everything that was edited so far."""

    q: Tensor
    """Eval-mode queries [n, d]."""

    def forward(self, picks: Tensor, change: Change) -> tuple[Tensor, Tensor]:
        """Queries [m, d] and logits [m, width] of m picked rows, each in its own dropout view where views are on.

        Differentiable in `change`.
        """
        ...

    def evaluate(self, change: Change) -> tuple[Tensor, Tensor]:
        """Queries [n, d] and logits [n, width] of all rows, without dropout."""
        ...


class Answering:
    """What follows from logits, in slices: the logits of many rows are never there at once."""

    site: FeedForwardSite
    readout: Readout
    unedited: Unedited | None = None
    """What is known of the model as it stands; None for classes, or where more is behind it than a row."""
    maps: Maps | None = None
    """Learned from parallel text, where there is any."""
    memories: dict[object, Any] | None = None
    """What was made of a memory, by its texts; None where nothing is kept, as a memory is large."""

    @property
    def scatter(self) -> Tensor | None:
        """Mean square of what a translation changes in q [d, d]; None without parallel text."""
        d = self.site.read_size
        return None if self.maps is None or self.maps.scatter is None else self.maps.scatter[:d, :d]

    def queries(self, rows: Sequence[Row]) -> Queries:
        """What the site reads of rows in eval mode."""
        raise NotImplementedError

    def logits(self, rows: Sequence[Row], change: Change) -> Tensor:
        """Eval-mode logits [n, width] of a few rows under `change`, without gradients."""
        raise NotImplementedError

    def said(self, rows: Sequence[Row], change: Change, wanted: Sequence[int] = ()) -> Said:
        """What the model says to rows under `change`.

        Args:
            rows: n of them.
            change: the edits.
            wanted: n ids whose probability is asked for; without, that of what is said.
        """
        if self.unedited is None:
            return self._said(rows, change, wanted)
        cuts = range(0, max(len(rows), 1), FELT)
        parts = [self._sparing(rows[i : i + FELT], change, wanted[i : i + FELT], self.unedited) for i in cuts]
        return Said(torch.cat([one.ids for one in parts]), torch.cat([one.probability for one in parts]))

    @torch.no_grad()
    def _sparing(self, rows: Sequence[Row], change: Change, wanted: Sequence[int], unedited: Unedited) -> Said:
        """The same, asking the vocabulary only where the change alters a bit of the feed-forward layer's output."""
        moved = [False] * len(rows) if change is UNCHANGED else self._moved(rows, change)
        return unedited.said(
            rows,
            wanted,
            [one or bool(row.via) for one, row in zip(moved, rows, strict=True)],  # of other maps, another query
            bare=lambda some, ids: self._said(some, UNCHANGED, ids),
            edited=lambda some, ids: self._said(some, change, ids),
        )

    def _moved(self, rows: Sequence[Row], change: Change) -> list[bool]:
        """Where the change alters a bit of the feed-forward layer's output."""
        with self.site.reading():
            q = self.queries(rows).q
            out = self.site.ffn(q)
            with self.site.asking(rows):
                return [bool(one) for one in (change(q, out) != out).any(1).tolist()]

    @torch.no_grad()
    def _said(self, rows: Sequence[Row], change: Change, wanted: Sequence[int] = ()) -> Said:
        size = slice_of(self.readout.width)
        ids, probability = [torch.empty(0, dtype=torch.long)], [torch.empty(0, dtype=torch.float64)]
        for start in range(0, len(rows), size):
            logits = self.logits(rows[start : start + size], change)
            said = logits.argmax(-1)
            about = torch.tensor(wanted[start : start + size], device=said.device) if wanted else said
            ids.append(said.cpu())
            probability.append(_share(logits, about).cpu())
        return Said(torch.cat(ids), torch.cat(probability))

    def predict(self, texts: Sequence[Text], change: Change) -> Spoken:
        """What the model answers to texts under `change`."""
        with self.site.evaluating():
            return self.readout.predict(texts, self._standpoint(change))

    def answer_rows(self, texts: Sequence[Text], change: Change) -> list[tuple[Row, ...]]:
        """The rows that say the model's answer to each text under `change`."""
        with self.site.evaluating():
            return self.readout.answer_rows(texts, self._standpoint(change))

    def _standpoint(self, change: Change) -> Standpoint:
        return Standpoint(
            said=lambda rows: self.said(rows, change),
            edited=lambda: self.site.standing(change, change.overrides),
            bare=self.site.bare,
            changed=change is not UNCHANGED,
        )

    def right(self, questions: Sequence[Question], change: Change) -> list[bool]:
        """Which questions are answered right: all ids that are wanted are said."""
        return answered_right(questions, self.said(flat(questions).rows, change))


class Asked(Protocol):
    """As much of a tail as a question needs."""

    site: FeedForwardSite
    readout: Readout

    def queries(self, rows: Sequence[Row]) -> Queries:
        """What the site reads of rows in eval mode."""
        ...

    def logits(self, rows: Sequence[Row], change: Change) -> Tensor:
        """Eval-mode logits [n, width] of a few rows under `change`, without gradients."""
        ...

    def said(self, rows: Sequence[Row], change: Change, wanted: Sequence[int] = ()) -> Said:
        """What the model says to rows under `change`; see `Answering.said`."""
        ...

    def predict(self, texts: Sequence[Text], change: Change) -> Spoken:
        """What the model answers to texts under `change`."""
        ...

    def answer_rows(self, texts: Sequence[Text], change: Change) -> list[tuple[Row, ...]]:
        """The rows that say the model's answer to each text under `change`."""
        ...

    def right(self, questions: Sequence[Question], change: Change) -> list[bool]:
        """Which questions are answered right."""
        ...


class Tail(Asked, Protocol):
    """The model behind the FFN input."""

    site: FeedForwardSite
    memories: dict[object, Any] | None

    @property
    def scatter(self) -> Tensor | None:
        """Mean square of what a translation changes in q [d, d]; None where nothing is known of that."""
        ...

    def encode(self, rows: Sequence[Row]) -> int:
        """Get ready for rows in batched passes, where queries are kept; returns how many had to be encoded."""
        ...

    def rows(self, rows: Sequence[Row], change: Change, *, views: int, generator: torch.Generator) -> Trainable:
        """Rows ready for training: `views` > 0 draws train-mode views, 0 trains on the eval-mode query itself.

        `change` is what was edited so far; `Trainable.forward` adds the new change on top of it.
        """
        ...


class Unchanged:
    """The change that changes nothing: the unedited model."""

    overrides: Mapping[str, Tensor] = {}

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """`out` as it is."""
        del q
        return out


UNCHANGED = Unchanged()


def slice_of(width: int) -> int:
    """Rows whose logits may be in memory at once: 2,048, or fewer where there are many ids."""
    return max(1, min(2048, 2**24 // width))


def _share(logits: Tensor, ids: Tensor) -> Tensor:
    """The probability [n] of an id for each row of logits [n, width], in float64.

    Over a vocabulary the sum is taken in float32, at least: its error, about 1e-6 of the probability, is far below what
    anybody reads, and it takes a third of the time.
    """
    logits = logits.float() if logits.dtype.itemsize < 4 else logits
    of = logits.double() if logits.shape[1] <= FEW else logits
    share = of.softmax(-1).gather(1, ids.unsqueeze(1)).squeeze(1)
    return share.double().nan_to_num(0.0)  # logits beyond the numbers are no answer that anybody could be sure of


FEW = 1024
"""Ids whose probabilities are worked out in float64; classes are few."""

FELT = 2048
"""Rows whose feed-forward outputs are in memory at once; no more than guests are kept (`FrozenTail`)."""
