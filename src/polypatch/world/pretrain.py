"""Pre-training: find the replaced entity (per token), and a little masked language modelling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional
from transformers import BertForSequenceClassification

from polypatch.world.config import WorldConfig
from polypatch.world.documents import DocumentReader, Sentence

PAD, CLS, SEP, MASK = 0, 2, 3, 4
_IGNORED = -100
_MASKED = 0.1
"""Share of the tokens that are masked: a masked subject leaves nothing to find, so masking is rare."""
_WARM_UP = 0.3
"""Share of the steps in which the learning rate rises."""


class Batch(NamedTuple):
    """One padded batch, all (rows, length); `replaced` is 1, 0, or -100 for special tokens and padding."""

    ids: torch.Tensor
    segments: torch.Tensor
    attention: torch.Tensor
    replaced: torch.Tensor


def collate(rows: Sequence[Sequence[Sentence]]) -> Batch:
    """Pad rows of one sentence or two, with [CLS] and [SEP] put in."""
    ids, segments, marks = [], [], []
    for row in rows:
        ids.append([CLS, *(token for part in row for token in (*part.ids, SEP))])
        segments.append([0, *(index for index, part in enumerate(row) for _ in range(len(part.ids) + 1))])
        marks.append([_IGNORED, *(mark for part in row for mark in (*map(int, part.replaced), _IGNORED))])
    length = max(map(len, ids))

    def padded(lists: list[list[int]], filler: int) -> torch.Tensor:
        return torch.tensor([one + [filler] * (length - len(one)) for one in lists])

    tokens = padded(ids, PAD)
    return Batch(tokens, padded(segments, 0), (tokens != PAD).long(), padded(marks, _IGNORED))


class Objectives(nn.Module):
    """The two pre-training heads, thrown away afterwards: replaced or not, and which token was masked."""

    def __init__(self, model: BertForSequenceClassification) -> None:
        super().__init__()
        hidden = model.config.hidden_size
        self.model = model
        self.replaced = nn.Linear(hidden, 1)
        self.transform = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.LayerNorm(hidden))

    def forward(self, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """10 × replaced-entity loss + 0.1 × masked-token loss."""
        masked = (torch.rand(batch.ids.shape, generator=generator) < _MASKED) & (batch.replaced == 0)
        ids = batch.ids.masked_fill(masked, MASK)
        states = self.model.bert(
            input_ids=ids, token_type_ids=batch.segments, attention_mask=batch.attention
        ).last_hidden_state
        seen = (batch.replaced != _IGNORED) & ~masked
        detection = functional.binary_cross_entropy_with_logits(
            self.replaced(states[seen])[:, 0], batch.replaced[seen].float()
        )
        embedding = self.model.bert.embeddings.word_embeddings.weight
        recall = functional.cross_entropy(self.transform(states[masked]) @ embedding.T, batch.ids[masked])
        return 10.0 * detection + 0.1 * recall


def draw(reader: DocumentReader, size: int, pair_share: float) -> list[Batch]:
    """One step's sentences: singles and pairs in batches of their own, since pairs are twice as long."""
    pairs = round(size * pair_share)
    return [collate([reader.single() for _ in range(size - pairs)]), collate([reader.pair() for _ in range(pairs)])]


def loss_of(objectives: Objectives, batches: Sequence[Batch], generator: torch.Generator) -> torch.Tensor:
    """The pre-training loss of one step, rows weighing alike."""
    rows = sum(len(batch.ids) for batch in batches)
    parts = [objectives(batch, generator) * (len(batch.ids) / rows) for batch in batches]
    return torch.stack(parts).sum()


def pretrain(
    objectives: Objectives,
    reader: DocumentReader,
    config: WorldConfig,
    generator: torch.Generator,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Train in place, one-cycle learning rate, without dropout (it costs time and, in so few steps, accuracy)."""
    objectives.eval()
    optimizer = torch.optim.AdamW(objectives.parameters(), lr=config.pretrain_lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        config.pretrain_lr,
        total_steps=config.pretrain_steps,
        pct_start=_WARM_UP,
    )
    for _ in range(config.pretrain_steps):
        loss = loss_of(objectives, draw(reader, config.pretrain_batch, config.pair_share), generator)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(objectives.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        tick()
