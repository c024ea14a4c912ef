"""The frozen tail of a model where it has one that agrees with it; full forward passes, and a warning, where not."""

from __future__ import annotations

from collections.abc import Callable

from polypatch.cautions import caution
from polypatch.errors import TailMismatchError
from polypatch.sites.tails.frozen_tail import FrozenTail
from polypatch.sites.tails.full_forward import FullForward


def best_tail(frozen: Callable[[], FrozenTail], full: Callable[[], FullForward]) -> FrozenTail | FullForward:
    """What `frozen` makes; or what `full` makes, where model and tail disagree."""
    try:
        return frozen()
    except TailMismatchError as error:
        caution(f"{str(error).partition('. Edit with')[0]}; it is edited by full forward passes, which is slow")
        return full()
