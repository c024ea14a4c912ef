"""The law of language models: what the tail calls right is what the model writes, or fills in, however padded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from polypatch.edited_model import EditedModel
from polypatch.edits import Example, Text
from polypatch.sites import Question
from polypatch.sites.network.model_kind import ModelKind, kind_of
from polypatch.sites.readouts.decoded_tokens import DECODED_TOKENS, begun_of
from polypatch.sites.readouts.masked_tokens import MASKED_TOKENS
from polypatch.sites.readouts.next_tokens import NEXT_TOKENS
from polypatch.testing.bits import require

LAW = "right ≡ generated"
SIZES = (1, 3)
"""Prompts of a batch."""


def check_generated(edited: EditedModel, examples: Sequence[Example]) -> None:
    """Hold an edited language model to `LAW`, on examples and on the answers that it gives itself.

    By the model's own `generate`, which keeps keys and values, and by passes over all of each text, padded on the
    right; what goes on with a prompt generates behind one that is padded on the left. Gaps are filled by one pass. A
    classifier writes nothing, and passes.

    Args:
        edited: the model with its edits attached.
        examples: prompts and the answers that are wanted, right or wrong.

    Raises:
        AssertionError: the law is broken.
    """
    readout = edited.readout
    if readout.answers is not None:
        return
    own = edited.tail.answer_rows([one.text for one in examples], edited.delta)
    said = iter(edited.tail.said([row for rows in own for row in rows], edited.delta).ids.tolist())
    given = [Question(rows, tuple(next(said) for _ in rows)) for rows in own]
    asked = edited.ask(examples)
    right = edited.tail.right(asked, edited.delta)
    for size in SIZES:
        for write in _WAYS[readout.kind]:
            how = f"{write.__name__.strip('_')}, {size} in a batch"
            written = _in_batches(write, edited, given, size)
            for one, ids in zip(given, written, strict=True):
                require(ids == one.wanted, LAW, f"{how}: {ids} is written, and the tail says {one.wanted}")
            if readout.kind == MASKED_TOKENS:  # with as many masks as the answer that is wanted has tokens
                written = _in_batches(write, edited, asked, size)
            for question, ids, flag in zip(asked, written, right, strict=True):
                require((ids == question.wanted) == flag, LAW, f"{how}: right is {flag}, and {ids} is written")


def _in_batches(write: _Write, edited: EditedModel, asked: Sequence[Question], size: int) -> list[tuple[int, ...]]:
    parts = [write(edited.model, asked[i : i + size], edited.readout) for i in range(0, len(asked), size)]
    return [tuple(ids) for part in parts for ids in part]


def asked_at(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: Sequence[Text], *, chat: bool = False
) -> tuple[dict[str, Tensor], Tensor]:
    """What a model's own pass over texts needs, and where it begins its answer to each [n].

    That is behind the text; where a decoder starts; or at a text's mask, and its first token where it has none. With
    `chat` a text stands in the tokenizer's template, as what a user says.
    """
    if chat:
        texts = [_in_chat(tokenizer, text) for text in texts]
    columns = zip(*texts, strict=True) if isinstance(texts[0], tuple) else [texts]
    read: dict[str, Any] = {"padding": True, "padding_side": "right", "truncation": True, "return_tensors": "pt"}
    batch = tokenizer(*map(list, columns), **read, add_special_tokens=not chat).to(next(model.parameters()).device)
    kind, ids = kind_of(model), batch["input_ids"]
    if kind is ModelKind.SEQ2SEQ:
        begun = list(begun_of(model, tokenizer))
        started = torch.tensor([begun] * len(ids), device=ids.device)
        return {**batch, "decoder_input_ids": started}, torch.full((len(ids),), len(begun) - 1)
    if kind is ModelKind.MASKED:
        marks = torch.tensor(tokenizer.all_special_ids, device=ids.device)
        masks, inside = ids == tokenizer.mask_token_id, ~torch.isin(ids, marks) | (ids == tokenizer.unk_token_id)
        return dict(batch), (2 * masks.int() + inside.int()).argmax(-1)
    return dict(batch), _last_tokens(batch, tokenizer)


def _in_chat(tokenizer: PreTrainedTokenizerBase, text: Text) -> str:
    said = [{"role": "user", "content": text}]
    return str(tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True))


def _last_tokens(batch: Mapping[str, Tensor], tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """The last token of each text [n]; a mark for its end is none: something is to follow."""
    ids, marks = batch["input_ids"], (tokenizer.eos_token_id, tokenizer.sep_token_id)
    ends = torch.tensor([mark for mark in marks if mark is not None], device=ids.device)
    inside = batch["attention_mask"].bool() & ~torch.isin(ids, ends)
    return (torch.arange(ids.shape[1], device=ids.device) * inside).argmax(-1)


def _begun(question: Question) -> list[int]:
    """What stands before an answer, where it is read."""
    return list(question.rows[0].tokens[: question.rows[0].place + 1])


@torch.no_grad()
def _padded_on_the_left(model: nn.Module, asked: Sequence[Question], readout: Any) -> list[list[int]]:
    """By the model's own `generate`."""
    prompts = [_begun(one) for one in asked]
    length, ends = max(map(len, prompts)), list(readout.prompts.ends)
    gaps = [length - len(prompt) for prompt in prompts]
    ids = _tensor(model, [[ends[0]] * gap + prompt for gap, prompt in zip(gaps, prompts, strict=True)])
    mask = _tensor(model, [[0] * gap + [1] * (length - gap) for gap in gaps])
    writer: Any = model
    more = {"eos_token_id": ends, "pad_token_id": ends[0], "max_new_tokens": readout.prompts.most}
    whole = writer.generate(input_ids=ids, attention_mask=mask, do_sample=False, num_beams=1, **more)
    return [_ended(row[length:], ends) for row in whole.tolist()]


@torch.no_grad()
def _padded_on_the_right(model: nn.Module, asked: Sequence[Question], readout: Any) -> list[list[int]]:
    """By one pass over everything for each token."""
    ends, prompts = list(readout.prompts.ends), [_begun(one) for one in asked]
    texts = [list(prompt) for prompt in prompts]
    for _ in range(readout.prompts.most):
        said = model(**_on_the_right(model, texts, ends[0])).logits.argmax(-1).tolist()
        for text, row in zip(texts, said, strict=True):
            text.append(row[len(text) - 1])
    return [_ended(text[len(prompt) :], ends) for text, prompt in zip(texts, prompts, strict=True)]


@torch.no_grad()
def _decoded(model: nn.Module, asked: Sequence[Question], readout: Any) -> list[list[int]]:
    """By the model's own `generate`, about prompts that are padded on the right."""
    ends, begun = list(readout.ends), _begun(asked[0])
    writer: Any = model
    batch = _on_the_right(model, [list(one.rows[0].context) for one in asked], readout.tokens.padding)
    forced = {"forced_bos_token_id": begun[1]} if len(begun) > 1 else {}
    more = {"eos_token_id": ends, "pad_token_id": ends[0], "max_new_tokens": readout.most + len(forced)}
    whole = writer.generate(**batch, do_sample=False, num_beams=1, decoder_start_token_id=begun[0], **forced, **more)
    return [_ended(row[len(begun) :], ends) for row in whole.tolist()]


@torch.no_grad()
def _decoded_anew(model: nn.Module, asked: Sequence[Question], readout: Any) -> list[list[int]]:
    """By one pass over everything for each token."""
    ends, begun = list(readout.ends), _begun(asked[0])
    batch = _on_the_right(model, [list(one.rows[0].context) for one in asked], readout.tokens.padding)
    texts = [list(begun) for _ in asked]
    for _ in range(readout.most):
        said = model(**batch, decoder_input_ids=_tensor(model, texts)).logits[:, -1].argmax(-1).tolist()
        texts = [[*text, one] for text, one in zip(texts, said, strict=True)]
    return [_ended(text[len(begun) :], ends) for text in texts]


@torch.no_grad()
def _filled(model: nn.Module, asked: Sequence[Question], readout: Any) -> list[list[int]]:
    """By one pass, padded on the right."""
    batch = _on_the_right(model, [list(one.rows[0].tokens) for one in asked], readout.tokens.padding)
    if asked[0].rows[0].context:
        length = batch["input_ids"].shape[1]
        kinds = [[*one.rows[0].context, *[0] * (length - len(one.rows[0].context))] for one in asked]
        batch["token_type_ids"] = _tensor(model, kinds)
    said = model(**batch).logits.argmax(-1).tolist()
    return [[row[place.place] for place in one.rows] for one, row in zip(asked, said, strict=True)]


_Write = Callable[[nn.Module, Sequence[Question], Any], list[list[int]]]
_WAYS: dict[str, tuple[_Write, ...]] = {
    NEXT_TOKENS: (_padded_on_the_left, _padded_on_the_right),
    DECODED_TOKENS: (_decoded, _decoded_anew),
    MASKED_TOKENS: (_filled,),
}


def _on_the_right(model: nn.Module, texts: Sequence[list[int]], padding: int) -> dict[str, Tensor]:
    """One batch, padded there."""
    length = max(map(len, texts))
    gaps = [length - len(text) for text in texts]
    return {
        "input_ids": _tensor(model, [text + [padding] * gap for gap, text in zip(gaps, texts, strict=True)]),
        "attention_mask": _tensor(model, [[1] * (length - gap) + [0] * gap for gap in gaps]),
    }


def _tensor(model: nn.Module, numbers: list[list[int]]) -> Tensor:
    return torch.tensor(numbers, device=next(model.parameters()).device)


def _ended(ids: Sequence[int], ends: Sequence[int]) -> list[int]:
    return list(ids[: next((i + 1 for i, one in enumerate(ids) if one in ends), len(ids))])
