"""An optional term of editors that train shared numbers: what they say to a few texts of the memory should stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from polypatch.deltas import Delta
from polypatch.editors.editor import Lesson
from polypatch.editors.losses import kl_to_original
from polypatch.editors.memory import Memory
from polypatch.sites import UNCHANGED, Tail


class Keeping(Protocol):
    """The hyper-parameters it needs; see `FineTuning`."""

    @property
    def kl_weight(self) -> float: ...  # noqa: D102
    @property
    def kl_rows(self) -> int: ...  # noqa: D102


def kept_by(settings: Keeping, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Callable[[], Tensor] | None:
    """``kl_weight · KL(original ‖ edited)`` on `kl_rows` random memory texts; None where nobody wants it."""
    if not settings.kl_weight or not memory.train.used:
        return None
    chosen = torch.randperm(memory.train.used, generator=lesson.generator)[: settings.kl_rows]
    asked = [memory.train.asked[i] for i in chosen.tolist()]
    original = tail.logits(asked, UNCHANGED)
    rows = tail.rows(asked, UNCHANGED, views=0, generator=lesson.generator)
    return lambda: settings.kl_weight * kl_to_original(original, rows.evaluate(delta)[1])
