"""The inside of a feed-forward layer: ``writer(act(reader(q)))``, or a module of one argument, whatever is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from polypatch.sites.discovery.trace import Call, first_tensor
from polypatch.sites.network.modes import evaluating as _evaluating

CLOSE = 1e-4

USUAL = ("gelu", "gelu_new", "silu", "relu")
"""Tried before all others; the first is that of patches beside a block whose own nobody can name."""


class FeedForward(NamedTuple):
    """A feed-forward layer: see `polypatch.sites.discovery.anatomy.Anatomy`; `query` is its input in the pass."""

    reader: str
    writer: str
    activation: str
    query: Tensor


def feed_forward_of(model: nn.Module, calls: Sequence[Call], writer: Call) -> FeedForward | None:
    """The FFN that ends with `writer`; None where ``out`` is no function of one tensor, position by position.

    Args:
        model: the model.
        calls: of the layer, the last to end first.
        writer: the call, of a map or of a module around it.
    """
    down = _innermost(model, calls, writer)
    names = activations(model)
    if down is not None:
        plain = _plain(model, calls, down, names)
        if plain is not None:
            return plain
    block = _block(model, calls, down or writer)
    if block is None or block.given is None:
        return None
    activation = _gated(model, calls, down, names) if down is not None else None
    return FeedForward(block.path, block.path, activation or names[0], block.given)


def activations(model: nn.Module) -> list[str]:
    """Names of activations, those that the configuration names first; then `USUAL`."""
    config: Any = model.config
    named = []
    for place in (config, getattr(config, "text_config", None)):
        values = (getattr(place, name, None) for name in _ENTRIES)
        named += [value for value in values if isinstance(value, str) and value in ACT2FN]
    return list(dict.fromkeys([*named, *USUAL, *(name for name in ACT2FN if name not in _LEARNED)]))


_ENTRIES = (
    "hidden_act",
    "hidden_activation",
    "activation_function",
    "activation",
    "dense_act_fn",
    "afn",
    "ff_activation",
    "mlp_hidden_act",
)
_LEARNED = ("prelu", "xielu")


def _innermost(model: nn.Module, calls: Sequence[Call], writer: Call) -> Call | None:
    """The map within the writer whose output is the writer's, dropout aside."""
    for call in calls:
        inside = call.path == writer.path or call.path.startswith(writer.path + ".")
        if inside and call.begun >= writer.begun and _is_map(model, call) and _equal(call.tensor, writer.tensor):
            return call
    return None


def _plain(model: nn.Module, calls: Sequence[Call], down: Call, names: Sequence[str]) -> FeedForward | None:
    for up in _maps_before(model, calls, down):
        if down.given is not None and _equal_shapes(up.tensor, down.given):
            name = next((name for name in names if _equal(_activated(name, up.tensor), down.given)), None)
            if name is not None and up.given is not None:
                return FeedForward(up.path, down.path, name, up.given)
    return None


def _gated(model: nn.Module, calls: Sequence[Call], down: Call, names: Sequence[str]) -> str | None:
    """The activation of a gate: ``act(gate) · up``, from two maps or the halves of one."""
    if down.given is None:
        return None
    maps = [call.tensor for call in _maps_before(model, calls, down) if call.tensor is not None]
    halves = [pair for one in maps if one.shape[-1] % 2 == 0 for pair in permutations(one.chunk(2, dim=-1))]
    for gate, up in (*permutations(maps, 2), *halves):
        if gate.shape == up.shape == down.given.shape:
            for name in names:
                acted = _activated(name, gate)
                if acted is not None and _equal(acted * up, down.given):
                    return name
    return None


def _block(model: nn.Module, calls: Sequence[Call], writer: Call) -> Call | None:
    """The outermost module around the writer that computes its output from one tensor, at one position at a time."""
    for call in calls:
        around = call.path == writer.path or writer.path.startswith(call.path + ".")
        if around and _equal(call.tensor, writer.tensor) and _many(model, call.path) and _pointwise(model, call):
            return call
    return None


@torch.no_grad()
def _pointwise(model: nn.Module, call: Call) -> bool:
    q, out = call.given, call.tensor
    if q is None or out is None or q.dim() != 3 or out.shape[:-1] not in (q.shape[:2], q.shape[1:2]):
        return False
    module = model.get_submodule(call.path)
    try:
        with _evaluating(module):
            alone = first_tensor(module(q.transpose(0, 1)))
    except Exception:  # whatever a module that wants more than one argument raises
        return False
    return alone is not None and alone.numel() == out.numel() and _equal(alone.reshape(out.shape), out)


def _maps_before(model: nn.Module, calls: Sequence[Call], down: Call) -> Iterator[Call]:
    return (call for call in calls if call.ended < down.begun and _is_map(model, call))


def _is_map(model: nn.Module, call: Call) -> bool:
    """Whether a call is of a module with one matrix, and from one tensor to one tensor."""
    weight = getattr(model.get_submodule(call.path), "weight", None)
    return isinstance(weight, Tensor) and weight.dim() == 2 and isinstance(call.output, Tensor)


def _many(model: nn.Module, path: str) -> bool:
    return sum(parameter.dim() >= 2 for parameter in model.get_submodule(path).parameters()) >= 2


def _activated(name: str, tensor: Tensor | None) -> Tensor | None:
    if tensor is None:
        return None
    activated: Tensor = ACT2FN[name](tensor)
    return activated


def _equal_shapes(a: Tensor | None, b: Tensor | None) -> bool:
    return a is not None and b is not None and a.shape == b.shape


def _equal(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None or a.shape != b.shape:
        return False
    return float((a - b).abs().max()) <= CLOSE * float(b.abs().max())
