"""Fine-tuning on English claims, with some pre-training left in so that the other languages stay aligned."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from polypatch.world.claims import LABELS, Claim
from polypatch.world.config import WorldConfig
from polypatch.world.documents import Composer, DocumentReader, Sentence
from polypatch.world.pretrain import Objectives, collate, draw, loss_of


def finetune(
    objectives: Objectives,
    claims: Sequence[Claim],
    reader: DocumentReader,
    composer: Composer,
    config: WorldConfig,
    generator: torch.Generator,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Train the classifier in place on the English claims, `config.keep` × the pre-training loss beside."""
    model = objectives.model
    texts = [Sentence(composer.ids(claim.text("en")), []) for claim in claims]
    labels = torch.tensor([LABELS.index(claim.label) for claim in claims])
    objectives.train()  # with dropout: the claims are few, and an editor may ask this model for dropout views
    steps = steps_of(len(claims), config)
    optimizer = torch.optim.AdamW(objectives.parameters(), lr=config.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=steps)
    for _ in range(config.epochs):
        order = torch.randperm(len(claims), generator=generator)
        for chosen in torch.split(order, config.batch):
            batch = collate([[texts[index]._replace(replaced=[False] * len(texts[index].ids))] for index in chosen])
            logits = model(input_ids=batch.ids, attention_mask=batch.attention).logits
            loss = functional.cross_entropy(logits, labels[chosen])
            if config.keep:
                loss = loss + config.keep * loss_of(
                    objectives, draw(reader, config.batch, config.pair_share), generator
                )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(objectives.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            tick()


def steps_of(claims: int, config: WorldConfig) -> int:
    """Optimiser steps of fine-tuning."""
    return config.epochs * -(-claims // config.batch)
