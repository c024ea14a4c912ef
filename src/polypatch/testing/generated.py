"""The law of language models: what the tail calls right is what the model writes, however its prompts are padded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from polypatch.edited_model import EditedModel
from polypatch.edits import Example
from polypatch.sites import Question
from polypatch.sites.next_tokens import NextTokens
from polypatch.testing.bits import require

LAW = "right ≡ generated"
SIZES = (1, 3)
"""Prompts of a batch."""


def check_generated(edited: EditedModel, examples: Sequence[Example]) -> None:
    """Hold an edited language model to `LAW`, on examples and on the answers that it gives itself.

    Prompts are padded on the left, for the model's own `generate`, which keeps keys and values; and on the right, for
    passes over all of each text. A classifier writes nothing, and passes.

    Args:
        edited: the model with its edits attached.
        examples: prompts and the answers that are wanted, right or wrong.

    Raises:
        AssertionError: the law is broken.
    """
    readout = edited.readout
    if not isinstance(readout, NextTokens):
        return
    texts = [one.text for one in examples]
    prompts = [list(readout.prompts.prompt(text)) for text in texts]
    own = edited.tail.answer_rows(texts, edited.delta)
    said = iter(edited.tail.said([row for rows in own for row in rows], edited.delta).ids.tolist())
    given = [Question(rows, tuple(next(said) for _ in rows)) for rows in own]
    asked = edited.ask(examples)
    right = edited.tail.right(asked, edited.delta)
    for size in SIZES:
        for write in (_on_the_left, _on_the_right):
            parts = [write(edited.model, prompts[i : i + size], readout) for i in range(0, len(prompts), size)]
            written = [tuple(ids) for part in parts for ids in part]
            how = f"{write.__name__.removeprefix('_')}, {size} in a batch"
            for one, ids, question, flag in zip(given, written, asked, right, strict=True):
                require(ids == one.wanted, LAW, f"padded {how}: {ids} is written, and the tail says {one.wanted}")
                require((ids == question.wanted) == flag, LAW, f"padded {how}: right is {flag}, and {ids} is written")


def last_tokens(batch: Mapping[str, Tensor], tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """The last token of each text [n]; a mark for its end is none: something is to follow."""
    ids, marks = batch["input_ids"], (tokenizer.eos_token_id, tokenizer.sep_token_id)
    ends = torch.tensor([mark for mark in marks if mark is not None], device=ids.device)
    inside = batch["attention_mask"].bool() & ~torch.isin(ids, ends)
    return (torch.arange(ids.shape[1], device=ids.device) * inside).argmax(-1)


@torch.no_grad()
def _on_the_left(model: nn.Module, prompts: Sequence[list[int]], readout: NextTokens) -> list[list[int]]:
    """By the model's own `generate`."""
    length, ends = max(map(len, prompts)), list(readout.prompts.ends)
    gaps = [length - len(prompt) for prompt in prompts]
    ids = _tensor(model, [[ends[0]] * gap + prompt for gap, prompt in zip(gaps, prompts, strict=True)])
    mask = _tensor(model, [[0] * gap + [1] * (length - gap) for gap in gaps])
    writer: Any = model
    more = {"eos_token_id": ends, "pad_token_id": ends[0], "max_new_tokens": readout.prompts.most}
    whole = writer.generate(input_ids=ids, attention_mask=mask, do_sample=False, num_beams=1, **more)
    return [_ended(row[length:], ends) for row in whole.tolist()]


@torch.no_grad()
def _on_the_right(model: nn.Module, prompts: Sequence[list[int]], readout: NextTokens) -> list[list[int]]:
    """By one pass over everything for each token."""
    ends = list(readout.prompts.ends)
    texts = [list(prompt) for prompt in prompts]
    for _ in range(readout.prompts.most):
        length = max(map(len, texts))
        gaps = [length - len(text) for text in texts]
        ids = _tensor(model, [text + [ends[0]] * gap for gap, text in zip(gaps, texts, strict=True)])
        mask = _tensor(model, [[1] * (length - gap) + [0] * gap for gap in gaps])
        said = model(input_ids=ids, attention_mask=mask).logits.argmax(-1).tolist()
        for text, row in zip(texts, said, strict=True):
            text.append(row[len(text) - 1])
    return [_ended(text[len(prompt) :], ends) for text, prompt in zip(texts, prompts, strict=True)]


def _tensor(model: nn.Module, numbers: list[list[int]]) -> Tensor:
    return torch.tensor(numbers, device=next(model.parameters()).device)


def _ended(ids: Sequence[int], ends: Sequence[int]) -> list[int]:
    return list(ids[: next((i + 1 for i, one in enumerate(ids) if one in ends), len(ids))])
