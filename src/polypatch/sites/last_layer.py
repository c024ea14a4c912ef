"""The last layer behind its query, by the formula that was found: FFN, finish, head."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn
from transformers.activations import ACT2FN

from polypatch.sites.anatomy import Anatomy, Finish
from polypatch.sites.resume import resume
from polypatch.sites.trace import first_tensor


class Queries(NamedTuple):
    """Rows at the site.

    Attributes:
        q: the input of the feed-forward layer, [n, d].
        rest: the residual r that its output is added to, [n, d]; None where that is q.
    """

    q: Tensor
    rest: Tensor | None = None


class LastLayer:
    """``out = FFN(q)``, ``h = finish(r, out)``, ``logits = head(h)``.

    Raises:
        UnsupportedModelError: the head does not run on one position alone.
    """

    def __init__(self, model: nn.Module, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self.writer = model.get_submodule(anatomy.writer)
        self.reader = model.get_submodule(anatomy.reader)
        self.block = model.get_submodule(anatomy.block) if anatomy.block else None
        self.norm: nn.Module | None = model.get_submodule(anatomy.norm) if anatomy.norm else None
        self.activation: Callable[[Tensor], Tensor] = ACT2FN[anatomy.activation]
        self.head = resume(model, anatomy)

    def ffn(self, q: Tensor) -> Tensor:
        """FFN₀(q), [n, d] -> [n, d]. What hooks its modules carry is the caller's business."""
        if self.block is not None:
            out = first_tensor(self.block.forward(q.unsqueeze(1)))
            assert out is not None
            return out.squeeze(1)
        return self.writer.forward(self.activation(self.reader.forward(q)))  # type: ignore[no-any-return]

    def hidden(self, rows: Queries, out: Tensor) -> Tensor:
        """h, [n, d]: the layer's output for FFN output `out`."""
        rest, scale = rows.q if rows.rest is None else rows.rest, self.anatomy.scale
        if self.anatomy.finish is Finish.NORM_THEN_ADD:
            out = self._normed(out)
        h = (out if scale == 1 else scale * out) + rest
        return self._normed(h) if self.anatomy.finish is Finish.ADD_THEN_NORM else h

    def _normed(self, x: Tensor) -> Tensor:
        assert self.norm is not None
        normed = first_tensor(self.norm.forward(x))
        assert normed is not None
        return normed

    def logits(self, rows: Queries, out: Tensor) -> Tensor:
        """Logits [n, classes]."""
        return self.head(self.hidden(rows, out))
