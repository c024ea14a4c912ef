"""CaliNet: a few neurons beside the feed-forward layer, trained by all edits (Dong et al., 2022).

FFN'(q) = FFN(q) + W₂ᵉ act(W₁ᵉ q)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from polypatch.deltas import Delta, ExtraNeurons
from polypatch.editors.editor import Fit, Lesson, Rate, Steps, Weight, expect
from polypatch.editors.kept_by import kept_by
from polypatch.editors.memory import Memory
from polypatch.editors.tuning import until_right
from polypatch.settings import Settings, at_least, between
from polypatch.sites import UNCHANGED, FeedForwardSite, Tail


@dataclass(frozen=True, kw_only=True)
class CaliNet(Settings):
    """Adam on neurons that all edits share, cross-entropy, until the edit is right.

    Attributes:
        size: how many neurons.
        learning_rate: of Adam, started anew for every edit; no weight decay, no clipping, no schedule.
        max_steps: give up after so many steps.
        kl_weight, kl_rows: an optional term on memory texts, as `FineTuning` has it; 0 is the paper's row.

    **Deviates:** the paper trains all facts at once, in many wordings, for 5,000 steps of Adafactor at 1e-2; here edits
    come one by one, so that later ones overwrite earlier ones, as with `FineTuning`. The neurons are plain also beside
    a gated layer, with the activation that patches have there, and without the dropout. The rate is the largest of
    1e-4, 1e-3 and 1e-2 at which 15 facts of a small language model did not cost more of the others.
    Source: github.com/dqxiu/CaliNet, read as facts; `docs/deviations.md`.
    """

    size: Annotated[int, between(1, 2**16)] = 64
    learning_rate: Rate = 1e-3
    max_steps: Steps = 2000
    kl_weight: Weight = 0.0
    kl_rows: Annotated[int, at_least(1)] = 128

    views, example_repeat, entropy_weight = 0, 1, 0.0
    exact = False
    memory_copies = 0  # its memory is the KL term's alone
    protects_right = False

    def start(self, site: FeedForwardSite) -> ExtraNeurons:
        """Neurons that add nothing."""
        return ExtraNeurons(site, self.size)

    def learn(self, delta: Delta, lesson: Lesson, tail: Tail, memory: Memory) -> Fit:
        """Train the neurons on the lesson until every text drawn is right."""
        delta = expect(ExtraNeurons, delta, self)
        delta.draw(lesson.generator)
        rows = tail.rows(lesson.rows, UNCHANGED, views=self.views, generator=lesson.generator)
        return until_right(self, list(delta.both), delta, lesson, rows, kept_by(self, delta, lesson, tail, memory))
