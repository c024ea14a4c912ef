"""Training: prompts with their answers, and plain text, of what the documents state."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from polypatch.world.documents import Document, make_documents
from polypatch.world.facts import Fact
from polypatch.world.speaking.config import SpeakingConfig
from polypatch.world.speaking.prompts import TAUGHT
from polypatch.world.speaking.texts import name_of, prompts, sentences
from polypatch.world.speaking.tokenizer import BEGINNING, END, PAD

_WARM_UP = 0.1
"""Share of the steps in which the learning rate rises."""


class Exercise(NamedTuple):
    """Token ids from ``<s>`` to ``</s>``, and how many of them are given: those after are learned."""

    ids: list[int]
    given: int


class Teacher:
    """Draws exercises: what the documents state, as an answer to a taught prompt or as a sentence.

    Args:
        facts: all facts of the world.
        tokenizer: cuts texts.
        rng: draws.
    """

    def __init__(self, facts: Iterable[Fact], tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> None:
        self._documents = make_documents(tuple(facts))
        self._tokenizer = tokenizer
        self._rng = rng
        self._ids: dict[str, list[int]] = {}

    def _cut(self, text: str) -> list[int]:
        if text not in self._ids:
            self._ids[text] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._ids[text]

    def pages(self) -> list[list[int]]:
        """By subject, the ids of all that is documented of it: a sentence and the taught prompts, in every language."""
        pages: dict[str, list[int]] = {}
        for fact, lang in self._documents:
            page = pages.setdefault(fact.subject["en"], [])
            for text in (sentences(fact, lang)[0], *prompts(fact, lang)[:TAUGHT]):
                page += self._cut(text)
        return list(pages.values())

    def _answer(self, document: Document) -> Exercise:
        fact, lang = document
        asked = [BEGINNING, *self._cut(self._rng.choice(prompts(fact, lang)[:TAUGHT]))]
        return Exercise([*asked, *self._cut(name_of(fact, lang, fact.stated)), END], len(asked))

    def _sentence(self, document: Document) -> Exercise:
        return Exercise([BEGINNING, *self._cut(self._rng.choice(sentences(*document))), END], 1)

    def draw(self, size: int, plain_share: float) -> list[Exercise]:
        """`size` exercises of documents drawn evenly, the last of them plain text."""
        plain = round(size * plain_share)
        drawn = self._rng.choices(self._documents, k=size)
        return [*map(self._answer, drawn[plain:]), *map(self._sentence, drawn[:plain])]


def loss_of(model: GPT2LMHeadModel, exercises: Sequence[Exercise]) -> torch.Tensor:
    """Mean cross-entropy of the learned tokens. Padding stands on the right."""
    length = max(len(exercise.ids) for exercise in exercises)
    ids = torch.tensor([exercise.ids + [PAD] * (length - len(exercise.ids)) for exercise in exercises])
    place = torch.arange(1, length)
    given = torch.tensor([[exercise.given] for exercise in exercises])
    learned = (place >= given) & (ids[:, 1:] != PAD)
    states = model.transformer(ids, attention_mask=(ids != PAD).long(), use_cache=False).last_hidden_state[:, :-1]
    # Logits of the learned tokens alone: the vocabulary is a third of the model.
    return functional.cross_entropy(model.lm_head(states[learned]), ids[:, 1:][learned])


def train(
    model: GPT2LMHeadModel, teacher: Teacher, config: SpeakingConfig, tick: Callable[[], None] = lambda: None
) -> None:
    """Train in place, one-cycle learning rate, no dropout."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.lr, total_steps=config.steps, pct_start=_WARM_UP, cycle_momentum=False
    )
    for _ in range(config.steps):
        loss = loss_of(model, teacher.draw(config.batch, config.plain_share))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        tick()
