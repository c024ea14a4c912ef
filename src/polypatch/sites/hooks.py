"""The two hooks through which a change is part of every forward pass, also a compiled, a copied or a concurrent one."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import torch
from torch import Tensor, nn

Change = Callable[[Tensor, Tensor], Tensor]
"""Δ: (q [n, d], out = FFN(q) [n, d]) -> the changed out [n, d]."""

POSITION = 0
"""The position every supported head reads ([CLS] or <s>)."""


class Hooks:
    """The two hooks that apply one change.

    Methods of an object, and not closures: a deep copy of the model has its own, with its own copy of the change.
    """

    def __init__(self, change: Change, up: nn.Module, down: nn.Module) -> None:
        self.change = change
        # Per thread: a server may run the model in several at once.
        self.queries: dict[int, Tensor] = {}
        self.traced: Tensor | None = None
        self.handles = up.register_forward_pre_hook(self.keep_query), down.register_forward_hook(self.apply)
        self.shown = [module for module in (up, down) if _show_to_compilers(module)]

    def remove(self) -> None:
        """Take the hooks off."""
        for handle in self.handles:
            handle.remove()
        for module in self.shown:
            vars(module).pop("forward", None)

    def keep_query(self, _: nn.Module, args: tuple[Tensor, ...]) -> None:
        """Before `up`: its input at the position that is read."""
        self.traced = args[0][:, POSITION]
        if not torch.compiler.is_compiling():
            self.queries[threading.get_ident()] = self.traced

    def apply(self, _: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """After `down`: its output, changed at that position."""
        # While torch.compile traces, there is one thread, and its number would be compiled in.
        q, self.traced = self.traced, None
        if not torch.compiler.is_compiling():
            q = self.queries.pop(threading.get_ident(), q)
        assert q is not None
        out = output[:, POSITION]
        changed = self.change(q, out)
        if changed is out:
            return output
        # A fresh tensor: writing in place would change a value autograd still needs.
        return torch.cat([changed.unsqueeze(1).to(output.dtype), output[:, POSITION + 1 :]], dim=1)


def follow(change: Change, device: torch.device) -> None:
    """Move a change to where the model is now: pipelines and Trainer move models, and know of no edits."""
    if isinstance(change, nn.Module):
        first = next(itertools.chain(change.buffers(), change.parameters()), None)
        if first is not None and first.device != device:
            _move(change, device)


# Compiled code cannot move parameters; the one pass that has to steps out of it here.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def _move(module: nn.Module, device: torch.device) -> None:
    module.to(device)


def _show_to_compilers(module: nn.Module) -> bool:
    """Make code that torch.compile made of `module` before it had hooks compile again; whether a mark was set for it.

    Compiled code looks whether its hooks have changed, but not whether the first one has come: without this, a model
    that was compiled before it is edited would go on giving the unedited answers. It does look for a `forward` of the
    module's own.
    """
    forward = vars(module).get("forward")
    if forward is None:
        vars(module)["forward"] = module.forward
        return True
    if getattr(forward, "__func__", None) is not type(module).forward:
        torch.compiler.reset()  # somebody else's `forward` stands there: all that is left
    return False
