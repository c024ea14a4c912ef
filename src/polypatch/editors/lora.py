"""LoRA: one low-rank adapter of the last FFN, trained on from edit to edit (Hu et al., 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from polypatch.deltas import Delta, LowRankDelta
from polypatch.editors.editor import Copies, Fit, Lesson, Rate, Repeats, Steps, Weight, expect
from polypatch.editors.memory import Memory
from polypatch.editors.tuning import until_right
from polypatch.editors.widths import BY_WIDTH
from polypatch.settings import Settings, above, at_least
from polypatch.sites import UNCHANGED, FeedForwardSite, Tail


@dataclass(frozen=True, kw_only=True)
class LoRA(Settings):
    """Adam on ``W + (alpha ÷ rank) B A`` for both matrices of the last FFN, cross-entropy, until the edit is right.

    Needs the extra ``lora`` (peft).

    Attributes:
        rank: columns of A's and B's product.
        alpha: the update counts alpha ÷ rank times.
        learning_rate: of Adam, started anew for every edit; no weight decay, no clipping, no schedule.
        max_steps: give up after so many steps.
        example_repeat, views: batch and dropout views, as in `TPatcher`.
        entropy_weight: weight of the entropy bonus in the loss, as in `FineTuning`.

    **Deviates:** the paper adapts attention matrices while a model is fine-tuned; here the adapter sits where all
    editors of polypatch work, and is trained edit by edit as `FineTuning` is. No dropout on A's input.
    """

    rank: Annotated[int, at_least(1)] = 8
    alpha: Annotated[float, above(0)] = 16.0
    learning_rate: Rate = 1e-4
    max_steps: Steps = 2000
    example_repeat: Repeats = 8
    views: Copies = BY_WIDTH
    entropy_weight: Weight = 0.1

    exact = False
    memory_copies = 0
    protects_right = False

    def start(self, site: FeedForwardSite) -> LowRankDelta:
        """An adapter of zeros."""
        return LowRankDelta(site, self.rank, self.alpha)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Train the adapter on the lesson until every text drawn is right."""
        del memory
        delta = expect(LowRankDelta, delta, self)
        delta.draw(lesson.generator)
        rows = tail.rows(lesson.rows, UNCHANGED, views=self.views, generator=lesson.generator)
        return until_right(self, list(delta.factors), delta, lesson, rows)
