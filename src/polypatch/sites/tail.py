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
from polypatch.sites.feed_forward import FeedForwardSite


class Change(Protocol):
    """What an edit does to the model, as the tail needs it; a `Delta` is one."""

    @property
    def overrides(self) -> Mapping[str, Tensor]:
        """Parameters replaced by name, for changes that reach outside the FFN; empty for those that do not."""
        ...

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """The FFN output [n, d] after the change, from the query [n, d] and the output before it [n, d]."""
        ...


class Rows(Protocol):
    """A few texts made ready to be trained on, under everything that was edited so far."""

    q: Tensor
    """Eval-mode queries [n, d]."""

    def forward(self, picks: Tensor, change: Change) -> tuple[Tensor, Tensor]:
        """Queries [m, d] and logits [m, classes] of m picked rows, each in its own dropout view where views are on.

        Differentiable in `change`.
        """
        ...

    def evaluate(self, change: Change) -> tuple[Tensor, Tensor]:
        """Queries [n, d] and logits [n, classes] of all rows, without dropout."""
        ...


class Asked(Protocol):
    """As much of a tail as a question needs."""

    def queries(self, texts: Sequence[Text]) -> Tensor:
        """Eval-mode FFN inputs q [n, d] at the position the head reads."""
        ...

    def logits(self, texts: Sequence[Text], change: Change) -> Tensor:
        """Eval-mode logits [n, classes] under `change`, without gradients."""
        ...


class Tail(Protocol):
    """The model behind the FFN input."""

    site: FeedForwardSite

    def encode(self, texts: Sequence[Text]) -> int:
        """Get ready for texts in one batched pass, where queries are kept; returns how many had to be encoded."""
        ...

    def queries(self, texts: Sequence[Text]) -> Tensor:
        """Eval-mode FFN inputs q [n, d] at the position the head reads."""
        ...

    def inputs(self, texts: Sequence[Text]) -> list[bytes]:
        """What the model reads of each text, as a name: the same where it cannot tell two texts apart."""
        ...

    def logits(self, texts: Sequence[Text], change: Change) -> Tensor:
        """Eval-mode logits [n, classes] under `change`, without gradients."""
        ...

    def rows(self, texts: Sequence[Text], change: Change, *, views: int, generator: torch.Generator) -> Rows:
        """Texts ready for training: `views` > 0 draws train-mode views, 0 trains on the eval-mode query itself.

        `change` is what was edited so far; `Rows.forward` adds the new change on top of it.
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
