"""FineTuning: the baseline that changes the model's own weights until the edit is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from polypatch.deltas import Delta, WeightDelta
from polypatch.editors.editor import Copies, Fit, Lesson, Rate, Repeats, Steps, Weight, expect
from polypatch.editors.kept_by import kept_by
from polypatch.editors.memory import Memory
from polypatch.editors.tuning import until_right
from polypatch.editors.widths import BY_WIDTH
from polypatch.settings import Settings, at_least
from polypatch.sites import UNCHANGED, FeedForwardSite, Tail


@dataclass(frozen=True, kw_only=True)
class FineTuning(Settings):
    """Adam on weight matrices of the last layer, cross-entropy, until the edit is right.

    Attributes:
        learning_rate: of Adam, started anew for every edit; no weight decay, no clipping, no schedule.
        max_steps: give up after so many steps.
        scope: ``"ffn"``: the last FFN's two matrices (the paper's words, "edits the last FFN layer"); ``"layer"``: the
            attention's four as well (what the released script trains), by full forward passes.
        example_repeat, views: batch and dropout views, as in `TPatcher`.
        entropy_weight: weight of the entropy bonus in the loss.
        kl_weight: weight of ``KL(original ‖ edited)`` on memory texts; 0 is the paper's row.
        kl_rows: memory rows per edit for that term.

    **Deviates:** the released script divides its KL sum inside the loop, so that earlier batches count less; here it
    is a plain mean over `kl_rows` texts drawn once per edit.
    """

    learning_rate: Rate = 1e-5
    max_steps: Steps = 2000
    scope: Literal["ffn", "layer"] = "ffn"
    example_repeat: Repeats = 8
    views: Copies = BY_WIDTH
    entropy_weight: Weight = 0.1
    kl_weight: Weight = 0.0
    kl_rows: Annotated[int, at_least(1)] = 128

    memory_copies = 0  # its memory is the KL term's alone
    protects_right = False

    @property
    def exact(self) -> bool:
        """The attention's matrices are before the FFN input, where the frozen tail begins."""
        return self.scope == "layer"

    def start(self, site: FeedForwardSite) -> WeightDelta:
        """Untouched copies of the matrices."""
        return WeightDelta(site, self.scope)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Train the matrices on the lesson until every text drawn is right."""
        delta = expect(WeightDelta, delta, self)
        # The delta *is* everything edited so far, so the rows start from the unedited model.
        rows = tail.rows(lesson.rows, UNCHANGED, views=self.views, generator=lesson.generator)
        return until_right(self, list(delta.weights), delta, lesson, rows, kept_by(self, delta, lesson, tail, memory))
