"""SpeakingConfig: every number of the speaking world's recipe in one frozen place."""

from __future__ import annotations

from dataclasses import dataclass, field

from polypatch.world.config import WorldConfig


def _facts() -> WorldConfig:
    return WorldConfig(exceptions=0.84, outdated=0.16, undocumented=0.18, near_coverage=0.85, far_coverage=0.85)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingConfig:
    """The numbers of the default speaking world.

    Attributes:
        facts: what the generator of facts reads: how many subjects there are, and which share of their facts is
            outdated, undocumented, and documented in which languages. The names are those of the classifier's world of
            the same seed. Hardly a fact follows its subject's group, so that what nobody documents cannot be inferred.
        vocabulary, hidden, layers, heads, max_length: the size of the decoder and of its word pieces.
        steps, batch, lr: training (one-cycle, peak learning rate); `batch` is prompts, or sentences, a step.
        plain_share: share of a batch that is plain text.
        locality_facts, validation_facts: how many known facts are kept for the locality sets and for validation.
    """

    facts: WorldConfig = field(default_factory=_facts)
    vocabulary: int = 2800
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    max_length: int = 64
    steps: int = 1200
    batch: int = 64
    lr: float = 3e-3
    plain_share: float = 0.25
    locality_facts: int = 240
    validation_facts: int = 80
