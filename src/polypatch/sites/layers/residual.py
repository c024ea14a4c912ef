"""The residual r that the FFN's output is added to, read from passes in which that output is zero.

Then what goes into the sum is r alone, to the bit, and in train mode too: dropout of nothing is nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from polypatch.sites.discovery.anatomy import Finish
from polypatch.sites.discovery.places import Places
from polypatch.sites.discovery.trace import first_tensor
from polypatch.sites.layers.edited_layer import EditedLayer


@contextmanager
def residuals(layer: EditedLayer, places: Places, tell: Callable[[Tensor], None]) -> Iterator[None]:
    """Inside the block every pass of this thread tells r [n, d]; its FFN's output has to be zero."""
    thread, anatomy = threading.get_ident(), layer.anatomy
    normed: list[Tensor] = []

    def look(given: Any, use: Callable[[Tensor], None]) -> None:
        sequence = first_tensor(given)
        row = places.of(sequence) if sequence is not None and threading.get_ident() == thread else None
        if row is not None:
            use(row)

    def into_norm(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        look(args, tell)

    def out_of_norm(_: nn.Module, __: object, output: Any) -> None:
        look(output, normed.append)

    def out_of_layer(_: nn.Module, __: object, output: Any) -> None:
        look(output, lambda h: tell(h - anatomy.scale * normed[-1] if normed else h))

    with ExitStack() as stack:
        if layer.norm is not None and anatomy.finish is Finish.ADD_THEN_NORM:
            stack.callback(layer.norm.register_forward_pre_hook(into_norm).remove)
        else:
            whole = layer.model.get_submodule(anatomy.layer)
            stack.callback(whole.register_forward_hook(out_of_layer).remove)
            if layer.norm is not None:
                stack.callback(layer.norm.register_forward_hook(out_of_norm).remove)
        yield
