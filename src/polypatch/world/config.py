"""WorldConfig: every number of the recipe in one frozen place. A cached world is found again by the hash of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """The numbers of the default world. All shares lie in 0..1; a smaller world for tests sets smaller counts.

    Attributes:
        persons, films, companies: how many subjects of each kind are invented.
        groups: hidden groups of subjects; members of a group tend to share their objects.
        exceptions: share of the facts whose object is not the typical one of the subject's group.
        undocumented: share of the facts that no document states.
        outdated: share of the facts that have changed since the documents were written: those state, in every language,
            the typical object, which is no longer true.
        near_coverage, far_coverage: share of the documented facts that are also documented in German, French and
            Spanish, and in Chinese and Arabic.
        misled: share of false claims that name the typical object of the group where the truth is an exception.
        edit_facts, test_facts, val_facts: how many facts are set aside for edits, the test set and validation.
        vocabulary, hidden, layers, heads, max_length: the size of the BERT and of its WordPiece.
        pretrain_steps, pretrain_batch, pretrain_lr: pre-training (one-cycle, peak learning rate).
        pair_share: share of a pre-training batch that is translation pairs.
        epochs, batch, lr: fine-tuning on English claims.
        keep: weight of the pre-training loss during fine-tuning, which keeps the languages aligned.
        locality_share: share of the fine-tuning claims that measure locality instead of being memory.
    """

    persons: int = 144
    films: int = 80
    companies: int = 80
    groups: int = 6
    exceptions: float = 0.08
    undocumented: float = 0.15
    outdated: float = 0.04
    near_coverage: float = 0.9
    far_coverage: float = 0.9
    misled: float = 0.5
    edit_facts: int = 780
    test_facts: int = 100
    val_facts: int = 40
    vocabulary: int = 3100
    hidden: int = 128
    layers: int = 2
    heads: int = 4
    max_length: int = 64
    pretrain_steps: int = 720
    pretrain_batch: int = 96
    pretrain_lr: float = 2e-3
    pair_share: float = 0.3
    epochs: int = 5
    batch: int = 32
    lr: float = 7e-4
    keep: float = 0.2
    locality_share: float = 0.25
