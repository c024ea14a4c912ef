"""Eval mode for as long as anybody needs it, whoever came first and whoever leaves last."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn


class _Inside:
    """Who is inside `evaluating`, and which modules were in train mode before the first came."""

    def __init__(self) -> None:
        self.count = 0
        self.training: list[nn.Module] = []


_LOCK = threading.Lock()
_MODELS: WeakKeyDictionary[nn.Module, _Inside] = WeakKeyDictionary()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside the block every module is in eval mode; when the last thread has left, each is in its own again.

    Counted per model: a thread that leaves must not turn dropout on under another that is not done.
    """
    with _LOCK:
        inside = _MODELS.setdefault(model, _Inside())
        if not inside.count:
            inside.training = [module for module in model.modules() if module.training]
            _set(inside.training, False)
        inside.count += 1
    try:
        yield
    finally:
        with _LOCK:
            inside.count -= 1
            if not inside.count:
                _set(inside.training, True)
                inside.training = []


def _set(modules: list[nn.Module], training: bool) -> None:
    for module in modules:
        module.training = training
