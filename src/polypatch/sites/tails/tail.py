"""What an editor, a trigger or a metric sees of a model: a Tail. Two implementations, one meaning.

`FrozenTail` computes everything after the FFN input from cached queries; `FullForward` runs the whole model every time.
The first is tens of times faster, the second assumes nothing. Tests hold them to the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from polypatch.edits import Text
from polypatch.sites.readouts.readout import Readout
from polypatch.sites.rows import Queries, Question, Row, Said, Spoken, Standpoint, answered_right, flat
from polypatch.sites.site import FeedForwardSite


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

    def logits(self, rows: Sequence[Row], change: Change) -> Tensor:
        """Eval-mode logits [n, width] of a few rows under `change`, without gradients."""
        raise NotImplementedError

    @torch.no_grad()
    def said(self, rows: Sequence[Row], change: Change, wanted: Sequence[int] = ()) -> Said:
        """What the model says to rows under `change`.

        Args:
            rows: n of them.
            change: the edits.
            wanted: n ids whose probability is asked for; without, that of what is said.
        """
        size = slice_of(self.readout.width)
        ids, probability = [torch.empty(0, dtype=torch.long)], [torch.empty(0, dtype=torch.float64)]
        for start in range(0, len(rows), size):
            logits = self.logits(rows[start : start + size], change)
            said = logits.argmax(-1)
            about = torch.tensor(wanted[start : start + size], device=said.device) if wanted else said
            # Logits beyond the numbers, under a patch that is, are no answer that anybody could be sure of.
            sure = logits.double().softmax(-1).gather(1, about.unsqueeze(1)).squeeze(1).nan_to_num(0.0)
            ids.append(said.cpu())
            probability.append(sure.cpu())
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
