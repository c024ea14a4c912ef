"""Ends a pass behind a layer: the layers above, and a head as wide as a vocabulary, need not run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


class EnoughSeen(Exception):  # noqa: N818  # no error: raised to end a pass
    """What was wanted of a pass was seen."""


@contextmanager
def ending_behind(layer: nn.Module) -> Iterator[None]:
    """Inside the block this thread's passes end behind the layer, with `EnoughSeen`."""
    thread = threading.get_ident()

    def stop(*_: object) -> None:
        if threading.get_ident() == thread:
            raise EnoughSeen

    handle = layer.register_forward_hook(stop)
    try:
        yield
    finally:
        handle.remove()
