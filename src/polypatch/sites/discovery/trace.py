"""One forward pass, written down: which module was called when, on what, and what it gave."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from polypatch.sites.network.model_kind import settled
from polypatch.sites.network.modes import evaluating
from polypatch.sites.network.shell import with_forwards


@dataclass(eq=False)
class Call:
    """One call of a module.

    Attributes:
        path: the module, from the model.
        begun, ended: when, in events of the pass.
        number: how often the same module had been called before, in this pass.
        given: a copy of its first tensor argument, where it has one: layers add in place.
        tensor: a copy of the first tensor that it returned.
        output: what it returned.
    """

    path: str
    begun: int
    number: int
    given: Tensor | None
    ended: int = -1
    tensor: Tensor | None = None
    output: Any = None

    @property
    def key(self) -> tuple[str, int]:
        """Names the call, in every pass of the same batch."""
        return self.path, self.number


@dataclass
class Trace:
    """A pass: what was asked, the calls in the order in which they ended, and the logits."""

    batch: Mapping[str, Tensor]
    calls: list[Call] = field(default_factory=list)
    logits: Tensor | None = None

    @property
    def answer(self) -> Tensor:
        """The logits of a pass that is over."""
        assert self.logits is not None
        return self.logits

    def last(self, path: str) -> Call:
        """The last call of a module."""
        return next(call for call in reversed(self.calls) if call.path == path)

    def of(self, call: Call) -> Call:
        """The same call in this pass."""
        return next(one for one in self.calls if one.key == call.key)


Instead = Callable[[Tensor], Tensor]
"""A module's first output tensor -> what stands in its place."""


def first_tensor(value: Any) -> Tensor | None:
    """The first tensor in a tensor, a tuple, a list or a model output."""
    if isinstance(value, Tensor):
        return value
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return next((found for one in inside if (found := first_tensor(one)) is not None), None)


def each_tensor(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same structure with every tensor changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return type(value)(**{key: each_tensor(one, change) for key, one in value.items()})
    if isinstance(value, tuple | list):
        items = [each_tensor(one, change) for one in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def with_first(value: Any, tensor: Tensor) -> Any:
    """The same structure with another first tensor."""
    if isinstance(value, Tensor):
        return tensor
    if isinstance(value, Mapping):
        key = next(key for key, one in value.items() if first_tensor(one) is not None)
        changed = type(value)(**value)
        changed[key] = with_first(value[key], tensor)  # type: ignore[index]
        return changed
    place = next(i for i, one in enumerate(value) if first_tensor(one) is not None)
    items = [with_first(one, tensor) if i == place else one for i, one in enumerate(value)]
    return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)


class _Recorder:
    """The hooks of one pass; they see no other thread's."""

    def __init__(self, batch: Mapping[str, Tensor], instead: Mapping[tuple[str, int], Instead]) -> None:
        self.trace = Trace(batch)
        self.instead = instead
        self.open: list[Call] = []
        self.count: dict[str, int] = {}
        self.clock = 0
        self.thread = threading.get_ident()

    def before(self, path: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if threading.get_ident() == self.thread:
            number = self.count[path] = self.count.get(path, -1) + 1
            given = first_tensor([*args, *kwargs.values()])
            self.open.append(Call(path, self.clock, number, None if given is None else given.clone()))
            self.clock += 1

    def after(self, path: str, output: Any) -> Any:
        if threading.get_ident() != self.thread:
            return output
        while (call := self.open.pop()).path != path:
            pass  # of a call that raised
        tensor = first_tensor(output)
        if call.key in self.instead and tensor is not None:
            tensor = self.instead[call.key](tensor)
            output = with_first(output, tensor)
        call.tensor, call.output, call.ended = None if tensor is None else tensor.clone(), output, self.clock
        self.clock += 1
        self.trace.calls.append(call)
        return output

    @contextmanager
    def on(self, model: nn.Module) -> Iterator[None]:
        with ExitStack() as stack:
            for path, module in model.named_modules():
                if path:
                    self._hook(stack, path, module)
            yield

    def _hook(self, stack: ExitStack, path: str, module: nn.Module) -> None:
        def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.before(path, args, kwargs)

        def after(_: nn.Module, __: object, ___: object, output: Any) -> Any:
            return self.after(path, output)

        for handle in (
            module.register_forward_pre_hook(before, with_kwargs=True),
            module.register_forward_hook(after, with_kwargs=True),
        ):
            stack.callback(handle.remove)


@torch.no_grad()
def traced(
    model: nn.Module, batch: Mapping[str, Tensor], instead: Mapping[tuple[str, int], Instead] | None = None
) -> Trace:
    """One pass in eval mode; what the calls named in `instead` return is replaced."""
    recorder = _Recorder(batch, instead or {})
    shell = with_forwards(model, {})  # where the model was compiled in place, its code does not look for these hooks
    with evaluating(model), recorder.on(model):
        recorder.trace.logits = shell(**batch, **settled(model)).logits
    return recorder.trace
