"""The head: the model's own code from a layer on, run on given hidden states.

The model is not taken apart. A stand-in for the layer returns the hidden states that are given, stand-ins for what
comes before it save the work, and the model's own `forward` runs: what comes after the layer, whatever it is and
whatever it is called, is computed by the code that always computes it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from polypatch.errors import UnsupportedModelError
from polypatch.sites.discovery.anatomy import Anatomy, Place
from polypatch.sites.discovery.probe import Probe, probe_of
from polypatch.sites.discovery.trace import Call, Trace, traced, with_first
from polypatch.sites.layers.record import ROWS, Function, recorded
from polypatch.sites.network.model_kind import settled
from polypatch.sites.network.modes import evaluating
from polypatch.sites.network.shell import Forward, with_forwards

CLOSE = 1e-4
"""Logits that differ by less, in units of the largest, are the model's; the check of the whole tail is stricter."""

_OWN = ("_given", "_shell", "_quick", "_where")
"""What a copy makes anew."""


class Head:
    """A model from one layer on.

    Args:
        model: the whole model; nothing of it is changed.
        layer: a call of the layer whose output is given.
        below: calls of modules before it that need not run.
        tokens: the text that the model is called with, [T]; nothing is read of it but its length and its padding.
        place: the position in it that the hidden states are put at, and of a language model answered from.
        context: what a model that writes about another text reads.
    """

    def __init__(
        self,
        model: nn.Module,
        layer: Call,
        below: Sequence[Call],
        tokens: Sequence[int],
        place: int,
        context: Sequence[int] = (),
    ) -> None:
        assert layer.tensor is not None
        self.probe, self.place = Probe(tuple(tokens), None, tuple(context)), place
        self.length = 1 if len(tokens) == 1 else layer.tensor.shape[1]
        self.settled = settled(model)
        self.model, self.templates = model, {call.path: call.output for call in (*below, layer)}
        self._begin()

    def _begin(self) -> None:
        self._given = threading.local()
        self._shell: nn.Module | None = None
        self._quick: Function = self._run
        self._where: tuple[torch.device, torch.dtype] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy of the model has a head of its own."""
        return {name: value for name, value in vars(self).items() if name not in _OWN}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __call__(self, hidden: Tensor) -> Tensor:
        """Logits [n, width] of hidden states [n, d]. In eval mode, where the caller's model is (`evaluating`)."""
        where = hidden.device, hidden.dtype
        if self._where != where:  # the first time, and once the model was moved
            self._quick, self._where = recorded(self._run, _drawn(hidden)), where
        return self._quick(hidden)

    def _run(self, hidden: Tensor) -> Tensor:
        """The same by the model's own code."""
        self._given.hidden = self._placed(hidden)
        try:
            batch = self.probe.batch(hidden.device, rows=len(hidden))
            logits: Tensor = self._whole()(**batch, **self.settled).logits
            return logits if logits.dim() == 2 else logits[:, self.place]
        finally:
            del self._given.hidden

    def _whole(self) -> nn.Module:
        """The model with its stand-ins; made when it is first wanted: a model that is being copied is not all there."""
        if self._shell is None:
            stand_ins = {path: self._stand_in(template) for path, template in self.templates.items()}
            self._shell = with_forwards(self.model, stand_ins)
        return self._shell

    def _placed(self, hidden: Tensor) -> Tensor:
        """[n, d] -> [n, T, d], zero at every other position."""
        before, after = self.place, self.length - 1 - self.place
        return nn.functional.pad(hidden.unsqueeze(1), (0, 0, before, after)) if before + after else hidden[:, None]

    def _stand_in(self, template: Any) -> Forward:
        def forward(*_: Any, **__: Any) -> Any:
            return with_first(template, self._given.hidden)

        return forward


def _drawn(like: Tensor) -> Tensor:
    """Hidden states of the same width and kind, enough to try a record on."""
    drawn = torch.randn(max(ROWS), like.shape[-1], generator=torch.Generator().manual_seed(0))
    return drawn.to(like.device, like.dtype)


def resume(model: nn.Module, anatomy: Anatomy, trace: Trace | None = None) -> Head:
    """The head behind the layer of `anatomy`, on the shortest text that gives the model's own logits.

    Args:
        model: the model.
        anatomy: what was found in it.
        trace: a pass of it over `probe_of(model)`, where there is one.

    Raises:
        UnsupportedModelError: none does: the answer reads more than the layer's output at one position.
    """
    if anatomy.place is Place.SEVERAL:
        raise UnsupportedModelError(f"{type(model).__name__}: the answer reads several positions of {anatomy.layer}")
    other = probe_of(model, seed=1)  # nothing of the text that the head is called with may show in what it says
    trace = trace or traced(model, probe_of(model).batch(next(model.parameters()).device))
    layer = trace.last(anatomy.top or anatomy.layer)
    assert layer.tensor is not None
    first = anatomy.place is Place.FIRST
    hidden, answer, reasons = layer.tensor[:, 0 if first else -1], trace.answer, []
    if anatomy.place is Place.EVERY:
        answer = trace.answer[0]
        hidden = layer.tensor[0, : len(answer)]
    for tokens in (other.tokens[:1] if first else other.tokens[-1:], other.tokens):
        # The layer may have more positions than the text, filled up to a window, or fewer, of several characters each.
        place = 0 if first or len(tokens) == 1 else min(layer.tensor.shape[1], len(tokens)) - 1
        for below in (below_of(trace, layer), []):
            try:
                head = Head(model, layer, below, tokens, place, other.context)
                with torch.no_grad(), evaluating(model):
                    gap = float((head(hidden.clone()) - answer).abs().max())
            except Exception as error:  # what is too short for a model, each says in its own way
                reasons.append(f"{type(error).__name__}: {error}"[:100])
                continue
            if gap <= CLOSE * max(1.0, float(answer.abs().max())):
                return head
            reasons.append(f"logits differ by {gap:.2g}")
    raise UnsupportedModelError(
        f"{type(model).__name__}: what is behind {anatomy.layer} does not run on its output at one position alone "
        f"({'; '.join(dict.fromkeys(reasons))})"
    )


def below_of(trace: Trace, layer: Call) -> list[Call]:
    """What ended before the layer began and gave a tensor of the same shape as it; the outermost, once each."""
    assert layer.tensor is not None
    found: dict[str, Call] = {}
    for call in reversed(trace.calls):
        shaped = call.tensor is not None and call.tensor.shape == layer.tensor.shape
        inner = any(f"{call.path}.".startswith(f"{path}.") for path in found)
        if shaped and not inner and call.ended < layer.begun and call.path != layer.path:
            found[call.path] = call
    return list(found.values())
