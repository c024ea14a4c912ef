"""One layer of one pass: which module writes into the residual stream, and how that enters the layer's output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from polypatch.sites.discovery.anatomy import Anatomy, Finish, Place
from polypatch.sites.discovery.inner import feed_forward_of
from polypatch.sites.discovery.trace import Call, Trace, traced

CLOSE = 1e-3
"""Two tensors are the same when they differ by less than this share of the larger: what is found is checked exactly."""

ROUNDING = 1e-5
"""A scale this near to 1 is 1."""


class _Entered(NamedTuple):
    """How the writer's output enters the layer's output."""

    finish: Finish
    norm: str | None
    scale: float
    rest: Tensor


@dataclass
class Layer:
    """One layer of one pass."""

    model: nn.Module
    batch: dict[str, Tensor]
    trace: Trace
    layer: Call
    start: int

    @cached_property
    def inside(self) -> list[Call]:
        """The calls since the layer below ended, up to the end of this one, the last to end first."""
        calls = [call for call in self.trace.calls if call.begun >= self.start and call.ended <= self.layer.ended]
        return calls[::-1]

    @property
    def h(self) -> Tensor:
        """The layer's output."""
        assert self.layer.tensor is not None
        return self.layer.tensor

    def anatomy(self, place: Place) -> Anatomy | str:
        """What was found, or why nothing was."""
        why = "no module in it writes into the residual stream as r + s·out, N(r + s·out) or r + s·N(out)"
        for writer in self.writers():
            entered = self.entered(writer)
            if entered is None:
                continue
            inner = feed_forward_of(self.model, self.inside, writer)
            if inner is None:
                why = f"what {writer.path} writes is no function of one position"
                break
            listed = inner.query.dim() == 2 or (writer.tensor is not None and writer.tensor.dim() == 2)
            if listed and place in (Place.FIRST, Place.SEVERAL):
                why = f"{writer.path} has the positions of all texts in one list, and of each one is read: the {place}"
                break
            if self._laid_out(inner.query).shape != self.h.shape:
                why = (
                    f"{inner.reader} reads {inner.query.shape[-1]} numbers, and {writer.path} writes {self.h.shape[-1]}"
                )
                break
            stack = self.layer.path.rpartition(".")[0]
            kept = same(self._laid_out(inner.query), entered.rest)
            return Anatomy(
                layer=self.layer.path,
                stack=stack,
                reader=inner.reader,
                writer=inner.writer,
                activation=inner.activation,
                finish=entered.finish,
                norm=entered.norm,
                scale=entered.scale,
                dropout=self.dropout(inner.writer),
                residual=not kept,
                place=place,
                calls=sum(call.path == inner.writer for call in self.trace.calls),
            )
        return why

    def writers(self) -> Iterator[Call]:
        """Calls of modules with matrices, the last to end first."""
        for call in self.inside:
            tensor = None if call.tensor is None else self._laid_out(call.tensor)
            if tensor is not None and tensor.shape == self.h.shape and matrices(self.model, call.path):
                yield call

    def _laid_out(self, tensor: Tensor) -> Tensor:
        """[T, d] as [1, T, d]: some layers put the positions of all texts in one list."""
        flat = tensor.dim() == 2 and tensor.numel() == self.h.numel() and tensor.shape[-1] == self.h.shape[-1]
        return tensor.reshape(self.h.shape) if flat else tensor

    def entered(self, writer: Call) -> _Entered | None:
        """Nudge the writer's output, everywhere at once."""
        assert writer.tensor is not None
        out = self._laid_out(writer.tensor)
        nudge = self.h.std() * torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).to(out)
        after = traced(self.model, self.batch, {writer.key: lambda tensor: tensor + nudge.reshape(tensor.shape)})
        h = after.of(self.layer).tensor
        assert h is not None
        scale = _ratio(h - self.h, nudge)
        if scale is not None:
            return self._unless_trivial(_Entered(Finish.ADD, None, scale, self.h - scale * out))
        for call in self.inside:
            if call.begun > writer.ended and call.given is not None and self._laid_out(call.given).shape == out.shape:
                found = self._through(call, after.of(call), out, nudge, h - self.h)
                if found is not None:
                    return self._unless_trivial(found)
        return None

    def _through(self, call: Call, after: Call, out: Tensor, nudge: Tensor, moved: Tensor) -> _Entered | None:
        """Whether the call is the norm that the writer's output goes through."""
        assert call.given is not None
        assert after.given is not None
        given = self._laid_out(call.given)
        scale = _ratio(self._laid_out(after.given) - given, nudge)
        if scale is None or call.tensor is None or after.tensor is None:
            return None
        tensor, nudged = self._laid_out(call.tensor), self._laid_out(after.tensor)
        if tensor.shape != self.h.shape:
            return None
        rest = given - scale * out
        if same(tensor, self.h):
            return _Entered(Finish.ADD_THEN_NORM, call.path, scale, rest)
        behind = _ratio(moved, nudged - tensor)
        if behind is not None and not _any(rest, given) and abs(scale - 1) < CLOSE:
            return _Entered(Finish.NORM_THEN_ADD, call.path, behind, self.h - behind * tensor)
        return None

    def _unless_trivial(self, entered: _Entered) -> _Entered | None:
        return entered if _any(entered.rest, self.h) else None

    def dropout(self, writer: str) -> str | None:
        """The dropout module that is given the writer's output."""
        out = next(call for call in self.inside if call.path == writer)
        for call in self.inside:
            dropout = isinstance(self.model.get_submodule(call.path), nn.Dropout) and call.begun > out.ended
            if dropout and call.given is not None and out.tensor is not None and same(call.given, out.tensor):
                return call.path
        return None


def matrices(model: nn.Module, path: str) -> bool:
    """Whether a module has a parameter of two dimensions or more: norms, dropouts and activations have none."""
    return any(parameter.dim() >= 2 for parameter in model.get_submodule(path).parameters())


def same(a: Tensor, b: Tensor, within: float = CLOSE) -> bool:
    """Equal up to rounding."""
    return a.shape == b.shape and float((a - b).abs().max()) <= within * float(b.abs().max())


def _any(rest: Tensor, beside: Tensor) -> bool:
    return float(rest.abs().max()) > CLOSE * float(beside.abs().max())


def _ratio(moved: Tensor, by: Tensor) -> float | None:
    """S with ``moved = s · by``; None where there is none, or it is 0."""
    scale = float((moved.double() * by).sum() / (by.double() * by).sum())
    if abs(scale - 1) < ROUNDING:
        scale = 1.0
    return scale if abs(scale) > CLOSE and same(moved, scale * by) else None
