"""Finds where a model can be edited: by structure, and by nudging it.

No table of families. One pass shows which modules are called on what. Then numbers decide:

* **the layer**: the last member of a list of modules to finish, whose output, nudged, moves the logits;
* **the place**: nudging that output at one position after the other shows which of them the answer reads; a language
  model answers at every position, and from that position alone;
* **the writer**: the last module with weights whose output, nudged by δ, moves the layer's output by s·δ, or the input
  of a norm behind it: ``h = r + s·out``, ``N(r + s·out)`` or ``r + s·N(out)``, and r does not move;
* **the reader**: the map before the activation before the writer, or the module that computes ``out`` from its input
  alone, position by position (`feed_forward_of`).

What is found is a proposal. A random change through the model and through what was found decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from polypatch.errors import InputError, UnsupportedModelError
from polypatch.sites.discovery.anatomy import Anatomy, Place
from polypatch.sites.discovery.layer import CLOSE, Layer, same
from polypatch.sites.discovery.probe import PADDED, Probe, probe_of
from polypatch.sites.discovery.trace import Call, Trace, each_tensor, first_tensor, traced, with_first
from polypatch.sites.network.model_kind import kind_of
from polypatch.sites.network.modes import evaluating
from polypatch.sites.network.shell import Forward, with_forwards


def discover(model: nn.Module, number: int | None = None) -> Anatomy:
    """Where a feed-forward layer of a model is, and what is behind it.

    Args:
        model: the model.
        number: of the layer in its stack, from 0; from the end where it is negative; None for the last.

    Raises:
        UnsupportedModelError: nothing was found that fits; the message lists what was tried.
        InputError: there is no such layer.
    """
    probe, device = probe_of(model), next(model.parameters()).device
    with evaluating(model):
        trace = traced(model, probe.batch(device))
        _require_steady(model, trace)
        padded = traced(model, probe.batch(device, right=PADDED)) if probe.pad is not None else trace
        tried: list[str] = []
        for layer in _layers(model, trace):
            found = _looked_at(model, probe, (trace, padded), layer, number)
            if isinstance(found, Anatomy):
                return found
            tried.append(f"{layer.path}: {found}")
    raise UnsupportedModelError(
        f"{type(model).__name__}: found no feed-forward layer that can be edited; tried "
        f"{'; '.join(tried[:3]) or 'nothing: it calls no list of layers'}{', …' if len(tried) > 3 else ''}. "
        "Pass anatomy=Anatomy(…), if you know where it is."
    )


_KNOWN: WeakKeyDictionary[nn.Module, tuple[object, dict[int | None, Anatomy]]] = WeakKeyDictionary()


def anatomy_of(model: nn.Module, number: int | None = None) -> Anatomy:
    """The same, looked for once as long as the model has the same modules and the same configuration."""
    config: Any = model.config
    build = [*map(id, model.modules())], config.to_json_string()
    known = _KNOWN.get(model)
    if known is None or known[0] != build:
        known = _KNOWN[model] = build, {}
    if number not in known[1]:
        known[1][number] = discover(model, number)
    return known[1][number]


def require_present(model: nn.Module, anatomy: Anatomy) -> Anatomy:
    """An anatomy that somebody wrote.

    Raises:
        InputError: it names a module that the model does not have.
    """
    paths = dict(model.named_modules())
    named = (anatomy.layer, anatomy.stack, anatomy.reader, anatomy.writer, anatomy.norm, anatomy.dropout)
    missing = [path for path in named if path is not None and path not in paths]
    if missing:
        raise InputError(f"anatomy: {type(model).__name__} has no module {missing[0]!r}")
    return anatomy


def _require_steady(model: nn.Module, trace: Trace) -> None:
    if not bool(trace.answer.isfinite().all()):
        raise UnsupportedModelError(f"{type(model).__name__}: its logits are NaN or infinite; training it went wrong")
    if not same(traced(model, trace.batch).answer, trace.answer):
        raise UnsupportedModelError(f"{type(model).__name__} answers the same text differently at every pass")


def _looked_at(
    model: nn.Module, probe: Probe, traces: tuple[Trace, Trace], layer: Call, number: int | None
) -> Anatomy | str:
    """The anatomy with this layer as the last, or why it is not."""
    shorts = [_short(model, trace, layer) for trace in traces]
    place = _every(shorts[0], probe, layer) if kind_of(model).writes else _one(shorts, probe, layer)
    if not isinstance(place, Place):
        return place
    members = _members(model, traces[0], layer)
    chosen = layer if number is None else _numbered(members, number)
    before = [call.ended for call in members if call.ended < chosen.begun]
    batch = probe.batch(next(model.parameters()).device)
    found = Layer(shorts[0] if chosen is layer else model, batch, traces[0], chosen, max(before, default=0)).anatomy(
        place
    )
    return found if chosen is layer or isinstance(found, str) else replace(found, top=layer.path)


def _numbered(members: Sequence[Call], number: int) -> Call:
    """The layer of that number."""
    if not -len(members) <= number < len(members):
        raise InputError(f"layer is {number}, and the model has {len(members)} layers: 0 to {len(members) - 1}")
    return members[number]


def _every(short: nn.Module, probe: Probe, layer: Call) -> Place | str:
    """`Place.EVERY`, or why the answer at each position is none of what the layer gives there."""
    moved = _moved(short, probe, layer, right=0)
    if not moved:
        return "the answer does not read its output"
    wrong = [i for i, positions in moved.items() if positions != {i}]
    if wrong or len(moved) < len(probe.tokens):
        return f"position {wrong[0] if wrong else 0} of its output moves the answers at {sorted(moved.get(0, ()))}"
    return Place.EVERY


def _one(shorts: Sequence[nn.Module], probe: Probe, layer: Call) -> Place | str:
    """The position of a text that the one answer reads."""
    alone = set(_moved(shorts[0], probe, layer, right=0))
    padded = alone if shorts[0] is shorts[1] else set(_moved(shorts[1], probe, layer, right=PADDED))
    if not alone:
        return "the answer does not read its output"
    last = {len(probe.tokens) - 1}
    if alone == padded == {0}:
        return Place.FIRST
    if alone == padded == last:
        return Place.LAST
    if 0 in alone & padded:
        return Place.SEVERAL
    return f"the answer reads position {min(alone)} of a text, and {min(padded)} of the same with padding"


def _layers(model: nn.Module, trace: Trace) -> list[Call]:
    """The last call of every list of modules, the last to end first."""
    last = {call.path.rpartition(".")[0]: call for call in trace.calls if _is_member(model, call)}
    return sorted(last.values(), key=lambda call: -call.ended)


def _members(model: nn.Module, trace: Trace, layer: Call) -> list[Call]:
    """The calls of the list that the layer is in."""
    stack = layer.path.rpartition(".")[0]
    return [call for call in trace.calls if call.path.rpartition(".")[0] == stack and _is_member(model, call)]


def _is_member(model: nn.Module, call: Call) -> bool:
    """Whether a call is of a module in a list, and gives one vector per position of the one text."""
    parent, _, name = call.path.rpartition(".")
    listed = name.isdigit() and isinstance(model.get_submodule(parent), nn.ModuleList | nn.Sequential)
    return listed and call.tensor is not None and call.tensor.dim() == 3 and len(call.tensor) == 1


def _short(model: nn.Module, trace: Trace, layer: Call) -> nn.Module:
    """The model in which the layers below return what they returned in this pass, to as many rows as there are.

    The model itself, where that gives another answer.
    """
    stand_ins: dict[str, Forward] = {}
    for call in _members(model, trace, layer):
        if call.path != layer.path and call.tensor is not None:
            stand_ins[call.path] = _returning(call)
    short = with_forwards(model, stand_ins)
    try:
        return short if same(traced(short, trace.batch).answer, trace.answer) else model
    except Exception:  # a model that looks at more of its layers than what they return: the whole of it will do
        return model


def _returning(call: Call) -> Forward:
    """What the call returned, as it was then and for as many rows: layers add in place."""

    def forward(*args: Any, **kwargs: Any) -> Any:
        given = first_tensor([*args, *kwargs.values()])
        rows = 1 if given is None else len(given)
        assert call.tensor is not None
        return each_tensor(with_first(call.output, call.tensor), lambda tensor: _rows(tensor, rows))

    return forward


def _rows(tensor: Tensor, rows: int) -> Tensor:
    return tensor.repeat(rows, *[1] * (tensor.dim() - 1)) if len(tensor) == 1 else tensor


def _moved(model: nn.Module, probe: Probe, layer: Call, right: int) -> dict[int, set[int]]:
    """The positions of the layer's output that an answer reads, and the positions of the answers that each moves.

    A row for each position, nudged there, and one that is not; the only answer of a classifier is at position 0.
    """
    rows = len(probe.tokens) + right + 1

    def nudge(hidden: Tensor) -> Tensor:
        by = torch.zeros_like(hidden)
        size = hidden.std() * torch.randn(hidden.shape[-1], generator=torch.Generator().manual_seed(1)).to(hidden)
        for i in range(min(rows - 1, hidden.shape[1])):
            by[i, i] = size
        return hidden + by

    batch = probe.batch(next(model.parameters()).device, rows=rows, right=right)
    try:
        logits = traced(model, batch, {layer.key: nudge}).answer
    except ValueError as error:
        raise UnsupportedModelError(
            f"{type(model).__name__} does not take two texts at once ({error}); set model.config.pad_token_id to the "
            "tokenizer's"
        ) from error
    moved = (logits[:-1] - logits[-1]).abs().amax(-1).reshape(len(logits) - 1, -1)
    if not float(moved.max()) > CLOSE * float(logits[-1].abs().max()):
        return {}
    read = (moved > CLOSE * moved.max()).tolist()
    return {i: {j for j, by in enumerate(row) if by} for i, row in enumerate(read) if any(row)}
