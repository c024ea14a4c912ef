"""Tensors that belong together are seen together: a forward pass in another thread finds all of them old or all new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from torch import Tensor


class Owned(Protocol):
    """A module whose buffers have one row per piece, each piece with its owner."""

    _buffers: dict[str, Tensor | None]
    owners: list[str]


def seen_together(module: Owned) -> dict[str, Tensor]:
    """The buffers as they are now. One look: what is published later is in another dictionary."""
    return module._buffers  # type: ignore[return-value]


def publish(module: Owned, tensors: Mapping[str, Tensor], owners: Iterable[str]) -> None:
    """Put these buffers in the place of the old ones, in one step, with the owners of their rows."""
    module._buffers, module.owners = dict(tensors), list(owners)
