"""What a function does with a tensor, recorded once as a short list of torch's own functions, and played back.

A model's code around a small head (masks, outputs by name, checks) takes longer than the head's numbers. What is played
back is the numbers alone. A record is used only where it gives the function's own bits on other numbers of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Function = Callable[[Tensor], Tensor]

ROWS = 2, 1, 3, 17
"""Rows that a record is made with, and those it is tried on."""


@dataclass(frozen=True)
class _Slot:
    """Where a call's result stands."""

    number: int


class _Step(NamedTuple):
    """One call, its tensors replaced by the slots they came from."""

    function: Callable[..., Any]
    args: Any
    kwargs: dict[str, Any]
    slot: int

    @property
    def places(self) -> tuple[tuple[int, int], ...] | None:
        """(argument, slot) of each argument that is a slot; None where slots stand deeper."""
        found = tuple((i, arg.number) for i, arg in enumerate(self.args) if isinstance(arg, _Slot))
        return found if len(found) == len([*_slots((self.args, self.kwargs))]) else None


class _Recorder(TorchFunctionMode):
    """Every call of a torch function, in order, with its result; all of them are kept, so that no two have one id."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[..., Any], Any, dict[str, Any], Any]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result


class Record:
    """A function as the calls that its result needs.

    Args:
        steps: the calls, in order.
        slots: how many results are kept on the way; the argument stands in the first.
        result: where the function's own result stands.
    """

    def __init__(self, steps: Sequence[_Step], slots: int, result: int) -> None:
        self.steps, self.slots, self.result = tuple(steps), slots, result
        self._plan = [(*step, step.places) for step in steps]

    def __call__(self, given: Tensor) -> Tensor:
        """What the function gives, differentiable as it is."""
        values: list[Any] = [given, *[None] * (self.slots - 1)]
        for function, args, kwargs, slot, places in self._plan:
            if places is None:
                values[slot] = function(*_filled(args, values), **_filled(kwargs, values))
                continue
            filled = list(args)
            for i, number in places:
                filled[i] = values[number]
            values[slot] = function(*filled, **kwargs)
        found: Tensor = values[self.result]
        return found


def recorded(function: Function, example: Tensor) -> Function:
    """The function played back; or itself, where that is not the same to the bit.

    Args:
        function: [n, d] -> [n, …], whatever n is; it draws no random numbers.
        example: [m, d], as many rows as `ROWS` asks for, at least.
    """
    with torch.no_grad():
        first, *others = (example[:rows] for rows in ROWS)
        record = _record(function, first)
        if record is None:
            return function
        try:
            same = all(torch.equal(record(rows), function(rows)) for rows in (first, *others))
        except Exception:  # a number of rows that was written down: what torch says then is of many kinds
            return function
        return record if same else function


def _record(function: Function, given: Tensor) -> Record | None:
    """The calls that the result of `function` needs; None where it is no call's result, or one of them writes."""
    with _Recorder() as recorder:
        result = function(given)
    made = {id(given): 0}
    for number, (called, args, _, out) in enumerate(recorder.calls, start=1):
        # What is given back as it was, as `weight.float()` is in float32, was made by nobody.
        if isinstance(out, Tensor) and (_in_place(called) or not (args and out is args[0])):
            made.setdefault(id(out), number)
    wanted, steps = {made.get(id(result), 0)}, list[_Step]()
    for number in range(len(recorder.calls), 0, -1):
        function_, args, kwargs, _ = recorder.calls[number - 1]
        if number in wanted:
            steps.append(_Step(function_, _slotted(args, made), _slotted(kwargs, made), number))
            wanted.update(slot.number for slot in _slots((steps[-1].args, steps[-1].kwargs)))
    writes = any(_in_place(call[0]) and call[1] and made.get(id(call[1][0])) in wanted for call in recorder.calls)
    if 0 not in wanted or made.get(id(result), 0) == 0 or writes:
        return None
    return Record(steps[::-1], len(recorder.calls) + 1, made[id(result)])


def _in_place(function: Callable[..., Any]) -> bool:
    name = getattr(function, "__name__", "")
    return name in ("__setitem__", "__set__") or (name.endswith("_") and not name.endswith("__"))


def _slotted(part: Any, made: dict[int, int]) -> Any:
    """Arguments with slots in the place of tensors that a call made."""
    if isinstance(part, Tensor):
        return _Slot(made[id(part)]) if id(part) in made else part
    if isinstance(part, tuple | list):
        return type(part)(_slotted(item, made) for item in part)
    return {name: _slotted(item, made) for name, item in part.items()} if isinstance(part, dict) else part


def _filled(part: Any, values: Sequence[Any]) -> Any:
    """The same with results in the place of slots."""
    if isinstance(part, _Slot):
        return values[part.number]
    if isinstance(part, tuple | list):
        return type(part)(_filled(item, values) for item in part)
    return {name: _filled(item, values) for name, item in part.items()} if isinstance(part, dict) else part


def _slots(part: Any) -> Iterator[_Slot]:
    if isinstance(part, _Slot):
        yield part
    elif isinstance(part, tuple | list):
        for item in part:
            yield from _slots(item)
    elif isinstance(part, dict):
        yield from _slots(list(part.values()))
