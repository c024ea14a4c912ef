"""The hooks through which a change is part of every forward pass, also a compiled, a copied or a concurrent one."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from polypatch.sites.beside import Beside
from polypatch.sites.discovery.anatomy import Anatomy
from polypatch.sites.discovery.places import Places
from polypatch.sites.discovery.trace import first_tensor, with_first
from polypatch.sites.network.model_kind import kind_of
from polypatch.sites.reads import Reads, reads_text
from polypatch.sites.sentence import SentenceBeside, Sentences
from polypatch.sites.text_beside import TextBeside

ChangeFunction = Callable[[Tensor, Tensor], Tensor]
"""Δ: (q [n, D], out = FFN(q) [n, d]) -> the changed out [n, d]; n is the texts, or all their positions.

Of what is read of a text the first d numbers are the query; D is d where that is all (`polypatch.sites.beside`).
"""

_PLACING = threading.RLock()
"""Held while hooks are put on and taken off."""


class Here(threading.local):
    """What one thread asked for, and no other sees. Compiled code looks at it anew in every thread, too.

    Attributes:
        instead: what is applied in place of what is attached; None: what is attached.
        query: the last pass's, between the two hooks.
    """

    def __init__(self, instead: ChangeFunction | None = None) -> None:
        self.instead = instead
        self.query: Tensor | None = None

    def __reduce__(self) -> tuple[Callable[[ChangeFunction | None], Here], tuple[ChangeFunction | None]]:
        return Here, (self.instead,)  # a copy of the model is for all threads what the model is for this one


def nothing(q: Tensor, out: Tensor) -> Tensor:
    """The change of a thread that wants the unedited model."""
    del q
    return out


class Hooks:
    """The hooks of a site: they apply what this thread asked for, else what is attached.

    Methods of an object, and not closures: a deep copy of the model has its own, with its own copy of the change. They
    are on the modules as long as somebody holds them.

    Attributes:
        attached: what every thread sees that asked for nothing.
    """

    def __init__(
        self, model: nn.Module, anatomy: Anatomy, reads: Reads = "query", sentences: Sentences | None = None
    ) -> None:
        self.up, self.down = model.get_submodule(anatomy.reader), model.get_submodule(anatomy.writer)
        self.places = Places(model, anatomy)
        self.beside = _beside(model, anatomy, self.places, reads, sentences)
        self.attached: ChangeFunction | None = None
        self.here = Here()
        self.traced: Tensor | None = None
        self._holders = 0
        self._handles: tuple[RemovableHandle, ...] = ()
        self._shown: list[nn.Module] = []

    def hold(self) -> None:
        """Put the hooks on the modules, unless they are there."""
        with _PLACING:
            self._holders += 1
            if self._holders == 1:
                apply = self.down.register_forward_hook(self.apply)
                keep = self.up.register_forward_pre_hook(self.keep_query, with_kwargs=True)
                self._handles = apply, keep, *self.places.hooks(), *self.beside.hooks()
                self._shown = [module for module in (self.up, self.down) if _show_to_compilers(module)]

    def release(self) -> None:
        """Take them off, unless somebody else holds them."""
        with _PLACING:
            self._holders -= 1
            if not self._holders:
                for handle in self._handles:
                    handle.remove()
                for module in self._shown:
                    vars(module).pop("forward", None)

    @contextmanager
    def applying(self, change: ChangeFunction) -> Iterator[None]:
        """Inside the block this thread's passes apply `change`, and nothing that is attached."""
        before = self.here.instead
        self.hold()
        try:
            self.here.instead = change
            yield
        finally:
            self.here.instead = before
            self.release()

    def keep_query(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Before `up`: its input at the position that is read, and what else is."""
        sequence = args[0] if args else next(iter(kwargs.values()))
        query = self.traced = self.beside.joined(self.places.of(sequence), sequence)
        if not torch.compiler.is_compiling():
            self.here.query = query  # not what is in `traced`, which another thread may have taken by now

    def apply(self, _: nn.Module, __: tuple[Tensor, ...], output: Any) -> Any:
        """After `down`: its output, changed at that position."""
        q, change = self._query(), self.here.instead
        if change is None:
            change = self.attached
            if change is not None and q is not None:
                follow(change, q.device)
        if change is None or q is None or not self.places.here():  # a pass that had begun before the hooks came
            return output
        written = output if isinstance(output, Tensor) else first_tensor(output)
        assert written is not None
        out = self.places.of(written)
        assert out is not None
        changed = change(q, out)
        if changed is out:
            return output
        written = self.places.put(written, changed.to(written.dtype))
        return written if isinstance(output, Tensor) else with_first(output, written)

    def _query(self) -> Tensor | None:
        # Code that is compiled cannot keep a tensor for one thread: it hands it on within its one pass.
        q, self.traced = self.traced, None
        if not torch.compiler.is_compiling() and self.here.query is not None:
            q, self.here.query = self.here.query, None
        return q


def _beside(
    model: nn.Module, anatomy: Anatomy, places: Places, reads: Reads, sentences: Sentences | None
) -> Beside | SentenceBeside | TextBeside:
    if sentences is None:
        return Beside(model, anatomy, places, reads)
    if reads_text(reads):
        return TextBeside(model, kind_of(model), anatomy, places, sentences)
    return SentenceBeside(model, anatomy, sentences)


def follow(change: ChangeFunction, device: torch.device) -> None:
    """Move a change to where the model is now: pipelines and Trainer move models, and know of no edits."""
    if isinstance(change, nn.Module):
        first = next(itertools.chain(change.buffers(), change.parameters()), None)
        if first is not None and first.device != device:
            _move(change, device)


_MOVING = threading.Lock()


# Compiled code cannot move parameters; the one pass that has to steps out of it here.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def _move(module: nn.Module, device: torch.device) -> None:
    with _MOVING:
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
