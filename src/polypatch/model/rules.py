"""Rules: how an edit is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from polypatch.settings import Settings, at_least


@dataclass(frozen=True, kw_only=True)
class Rules(Settings):
    """How an edit is judged.

    Attributes:
        retries: further attempts, with fresh random numbers, at an edit that did not take or cost too much.
        keep_failed: keep what a failed edit left in the model (the released code does); False takes it back. What
            costs more than a guard allows is taken back in any case.
    """

    retries: Annotated[int, at_least(0)] = 0
    keep_failed: bool = False
