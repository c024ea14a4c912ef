"""Ends a pass where nothing more is read of it: what would follow, a head as wide as a vocabulary too, need not run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


class EnoughSeen(Exception):  # noqa: N818  # no error: raised to end a pass
    """What was wanted of a pass was seen."""


@contextmanager
def ending_behind(layer: nn.Module) -> Iterator[None]:
    """Inside the block this thread's passes end behind the layer, with `EnoughSeen`."""
    thread = threading.get_ident()

    def stop(*_: object) -> None:
        if not torch.compiler.is_compiling() and threading.get_ident() == thread:
            raise EnoughSeen

    handle = layer.register_forward_hook(stop)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def ending_before(module: nn.Module, look: Callable[[], None]) -> Iterator[None]:
    """Inside the block this thread's passes end before the module, with `EnoughSeen`, once `look` has looked."""
    thread = threading.get_ident()

    def stop(*_: object) -> None:
        if torch.compiler.is_compiling() or threading.get_ident() != thread:
            return  # compiled code runs to its end
        look()
        raise EnoughSeen

    handle = module.register_forward_pre_hook(stop)
    try:
        yield
    finally:
        handle.remove()
