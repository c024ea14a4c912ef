"""Seen: what a site reads of passes of the unedited model, each of which ends as soon as all is seen.

Where the residual r is q itself that is before the feed-forward layer. Else it is behind the edited layer, and the
feed-forward layer's output is taken out: what then goes into the sum is r, whatever dropout is on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from polypatch.sites.hooks import Hooks
from polypatch.sites.layers.edited_layer import EditedLayer
from polypatch.sites.layers.enough import ending_before, ending_behind
from polypatch.sites.layers.residual import residuals
from polypatch.sites.rows import Queries


class Seen:
    """Keeps it.

    Args:
        layer: the edited layer.
        hooks: the site's.

    Attributes:
        found: what was read, pass by pass.
    """

    def __init__(self, layer: EditedLayer, hooks: Hooks) -> None:
        self.layer, self.hooks = layer, hooks
        self.found: list[Queries] = []
        self._q: list[Tensor] = []

    def look(self, query: Tensor, out: Tensor) -> Tensor:
        """The change of a pass that is looked at."""
        self._q.append(query)
        if self.layer.anatomy.residual:
            return torch.zeros_like(out)
        self.found.append(Queries(query))
        return out

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Inside the block passes of this thread are looked at; `look` has to be applied."""
        anatomy = self.layer.anatomy
        with ExitStack() as stack:
            if anatomy.residual:
                stack.enter_context(residuals(self.layer, self.hooks.places, self._rest))
            if anatomy.calls == 1 and anatomy.residual:
                stack.enter_context(ending_behind(self.layer.model.get_submodule(anatomy.layer)))
            elif anatomy.calls == 1:
                stack.enter_context(ending_before(self.layer.reader, self._given))
            yield

    def _rest(self, residual: Tensor) -> None:
        self.found.extend(Queries(query, residual) for query in self._q[-1:])  # none earlier in a shared layer

    def _given(self) -> None:
        query = self.hooks.here.query
        if query is not None:
            self.found.append(Queries(query))
