"""The layers above a lower one: from its hidden states to those of the last, by the model's own code."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from polypatch.errors import UnsupportedModelError
from polypatch.sites.discovery.anatomy import Anatomy
from polypatch.sites.discovery.probe import probe_of
from polypatch.sites.discovery.trace import Trace, first_tensor, traced, with_first
from polypatch.sites.layers.resume import below_of
from polypatch.sites.network.model_kind import settled
from polypatch.sites.network.modes import evaluating
from polypatch.sites.network.shell import Forward, with_forwards

CLOSE = 1e-4
"""Hidden states that differ by less, in units of the largest, are the model's; the check of the tail is stricter."""


class _Arrived(Exception):  # noqa: N818  # no error: raised to end a pass
    """The last layer is done."""

    def __init__(self, hidden: Tensor) -> None:
        self.hidden = hidden


class Above:
    """What follows a layer up to the last: the model runs with the layer's output given.

    Args:
        model: the whole model; nothing of it is changed.
        anatomy: of a lower layer.
        trace: a pass of it over `probe_of(model)`.
        whole: run the layers below as well, for models in which those make more than hidden states.
    """

    def __init__(self, model: nn.Module, anatomy: Anatomy, trace: Trace, *, whole: bool) -> None:
        assert anatomy.top is not None
        self.model, self.layer, self.top, self.settled = model, anatomy.layer, anatomy.top, settled(model)
        layer = trace.last(anatomy.layer)
        self.templates = {} if whole else {call.path: call.output for call in (*below_of(trace, layer), layer)}
        self._begin()

    def _begin(self) -> None:
        self._given = threading.local()
        self._shell: nn.Module | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy of the model has its own."""
        return {name: value for name, value in vars(self).items() if name not in ("_given", "_shell")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __call__(self, batch: Mapping[str, Tensor], hidden: Tensor) -> Tensor:
        """The last layer's output [n, T, d] for the layer's output `hidden` [n, T, d] in a pass over `batch`."""
        if self._shell is None:
            self._shell = with_forwards(self.model, self._stand_ins())
        self._given.hidden = hidden
        try:
            self._shell(**batch, **self.settled)
        except _Arrived as arrived:
            return arrived.hidden
        finally:
            del self._given.hidden
        raise UnsupportedModelError(f"{type(self.model).__name__}: {self.top} was not reached")

    def _stand_ins(self) -> dict[str, Forward]:
        replaced = {path: self._returning(template) for path, template in self.templates.items()}
        if not replaced:
            replaced[self.layer] = self._replacing(self.model.get_submodule(self.layer).forward)
        return {**replaced, self.top: _ending(self.model.get_submodule(self.top).forward)}

    def _returning(self, template: Any) -> Forward:
        def forward(*_: Any, **__: Any) -> Any:
            return with_first(template, self._given.hidden)

        return forward

    def _replacing(self, own: Callable[..., Any]) -> Forward:
        def forward(*args: Any, **kwargs: Any) -> Any:
            return with_first(own(*args, **kwargs), self._given.hidden)

        return forward


def _ending(own: Callable[..., Any]) -> Forward:
    def forward(*args: Any, **kwargs: Any) -> Any:
        hidden = first_tensor(own(*args, **kwargs))
        assert hidden is not None
        raise _Arrived(hidden)

    return forward


def above(model: nn.Module, anatomy: Anatomy) -> Above:
    """The layers above that of `anatomy`, tried on two other texts of another length.

    Raises:
        UnsupportedModelError: run on the layer's output, they do not give the model's own hidden states.
    """
    device, reasons = next(model.parameters()).device, []
    trace = traced(model, probe_of(model).batch(device))
    # Of another length than the text that the templates are of.
    batch = probe_of(model, seed=1, length=16).batch(device, rows=2)
    other = traced(model, batch)
    given, wanted = other.last(anatomy.layer).tensor, other.last(anatomy.top or "").tensor
    assert given is not None
    assert wanted is not None
    for whole in (False, True):
        try:
            found = Above(model, anatomy, trace, whole=whole)
            with torch.no_grad(), evaluating(model):
                gap = float((found(batch, given.clone()) - wanted).abs().max())
        except Exception as error:  # each model in its own way
            reasons.append(f"{type(error).__name__}: {error}"[:100])
            continue
        if gap <= CLOSE * float(wanted.abs().max()):
            return found
        reasons.append(f"hidden states differ by {gap:.2g}")
    raise UnsupportedModelError(
        f"{type(model).__name__}: the layers above {anatomy.layer} do not run on its output ({'; '.join(reasons)})"
    )
