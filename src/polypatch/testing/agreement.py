"""How far a tail is from its model: rows of texts of several lengths, without a change and with a random one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from polypatch.sites.discovery.probe import probe_of
from polypatch.sites.discovery.trace import first_tensor, with_first
from polypatch.sites.encoding.encoder import Encoder
from polypatch.sites.layers.above import above
from polypatch.sites.network.model_kind import ModelKind, settled
from polypatch.sites.readouts.greedy import greedy
from polypatch.sites.rows import Row
from polypatch.sites.site import FeedForwardSite
from polypatch.sites.tails.sequences import Sequences
from polypatch.sites.tails.tail import UNCHANGED, Change

LENGTHS = (6, 8, 13, 19)
"""Tokens of the texts: the second fills a pass that the first is padded for, and the others need longer ones."""


class Agreement(NamedTuple):
    """Largest differences of logits, in units of the largest logit.

    Attributes:
        gap: between the tail and the model in the same passes: padded, beside other texts.
        alone: between the tail and the model on each text alone, through no hook of a site.
        moved: between the model with the change and without.
    """

    gap: float
    alone: float
    moved: float


class Neuron:
    """A neuron that fires: out + gelu(q·k/√d + 1) v, k and v being random. A `Change`.

    Args:
        width: the length d of k and v.
        seed: of the two.
        length: v is so much longer than a vector of standard normal numbers.
    """

    overrides: dict[str, Tensor] = {}  # noqa: RUF012  # nothing is put there

    def __init__(self, width: int, seed: int = 0, length: float = 1.0) -> None:
        self.key, value = torch.randn(2, width, generator=torch.Generator().manual_seed(seed))
        self.value: Tensor = length * value

    def __call__(self, q: Tensor, out: Tensor) -> Tensor:
        """[…, d] -> […, d]."""
        fires: Tensor = nn.functional.gelu(q @ self.key.to(q) / len(self.key) ** 0.5 + 1)
        return out + fires.unsqueeze(-1) * self.value.to(q)


def agreement(
    site: FeedForwardSite, tokenizer: PreTrainedTokenizerBase, seed: int = 0, change: Change | None = None
) -> Agreement:
    """Compare a language model with the tail behind one of its layers.

    Args:
        site: the layer.
        tokenizer: the model's.
        seed: of the texts and of the change.
        change: what is changed; a `Neuron` where it is not given.
    """
    encoder, rows = Encoder(site, tokenizer), probe_rows(site, tokenizer, seed)
    gap = alone = moved = 0.0
    with torch.no_grad(), site.evaluating():
        behind, before = _behind(encoder, rows), None
        for one in (UNCHANGED, change or Neuron(site.hidden_size, seed)):
            ours = behind(one)
            full = encoder.full_logits(rows, one, filled=False)
            own = torch.stack([_alone(site, row, one) for row in rows])
            unit = max(1.0, float(full.abs().max()))
            gap = max(gap, float((ours - full).abs().max()) / unit)
            alone = max(alone, float((ours - own).abs().max()) / unit)
            before = full if before is None else before
            moved = float((full - before).abs().max()) / unit
    return Agreement(gap, alone, moved)


def _behind(encoder: Encoder, rows: Sequence[Row]) -> Callable[[Change], Tensor]:
    """Logits [n, width] by change, from queries that are read once."""
    site = encoder.site
    if site.lower:
        some = Sequences(encoder, above(site.model, site.anatomy), rows, encoder.queries)
        out = site.ffn(some.queries.q)
        return lambda change: some.logits(range(len(rows)), change, out)
    queries = encoder.queries(rows)
    return lambda change: site.logits(queries, change(queries.q, site.ffn(queries.q)))


def probe_rows(site: FeedForwardSite, tokenizer: PreTrainedTokenizerBase, seed: int = 0) -> list[Row]:
    """Rows at the first, a middle and the last position of random texts; of a model that fills gaps, each at a gap."""
    rows = []
    for number, length in enumerate(LENGTHS):
        probe = probe_of(site.model, seed=seed * len(LENGTHS) + number, length=length)
        for place in sorted({0, length // 2, length - 1}):
            tokens = list(probe.tokens)
            if site.kind is ModelKind.MASKED and tokenizer.mask_token_id is not None:
                tokens[place] = tokenizer.mask_token_id
            rows.append(Row(tuple(tokens), place, probe.context))
    return rows


@torch.no_grad()
def shortfall(
    site: FeedForwardSite, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], change: Change, most: int = 10
) -> float:
    """By how much what a model writes is less likely to its tail than what the tail holds for the likeliest.

    0 where every token that greedy decoding wrote, one by one and with its cache of keys and values, is the one that
    the tail says at its row: right is generated. In units of the largest logit.

    Args:
        site: a layer of a model that writes.
        tokenizer: the model's.
        texts: what it writes behind, or about.
        change: the edits.
        most: tokens of an answer.
    """
    encoder, ends = Encoder(site, tokenizer), (tokenizer.eos_token_id,)
    prompts = [tuple(tokenizer(text)["input_ids"]) for text in texts]
    about = site.kind is ModelKind.SEQ2SEQ
    begun = (getattr(site.model.config, "decoder_start_token_id", None) or 0,)
    rows, ids = list[Row](), list[int]()
    with site.evaluating():
        with site.standing(change, change.overrides):
            written = greedy(site.model, prompts, ends, most, begun if about else ())
        for prompt, one in zip(prompts, written, strict=True):
            before = begun if about else prompt
            tokens, context = (*before, *one.ids[:-1]), prompt if about else ()
            rows += [Row(tokens, len(before) - 1 + i, context) for i in range(len(one.ids))]
            ids += one.ids
        logits = _behind(encoder, rows)(change)
    short = logits.max(-1).values - logits.gather(1, torch.tensor(ids).unsqueeze(1)).squeeze(1)
    return float(short.max()) / max(1.0, float(logits.abs().max()))


def _alone(site: FeedForwardSite, row: Row, change: Change) -> Tensor:
    """The logits at one row: its text alone, unpadded, through hooks of our own."""
    batch = {"input_ids": row.tokens, "attention_mask": [1] * len(row.tokens)}
    if site.kind is ModelKind.SEQ2SEQ:
        batch = {f"decoder_{name}": numbers for name, numbers in batch.items()}
        batch |= {"input_ids": row.context, "attention_mask": [1] * len(row.context)}
    seen: list[Tensor] = []

    def read(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = first_tensor([*args, *kwargs.values()])
        assert given is not None
        seen.append(given.clone())

    def write(_: nn.Module, __: object, output: Any) -> Any:
        out = first_tensor(output)
        assert out is not None
        if len(seen) < site.anatomy.calls:
            return output
        changed = change(*(tensor.reshape(-1, tensor.shape[-1]) for tensor in (seen[-1], out)))
        return with_first(output, changed.reshape(out.shape))

    model, anatomy = site.model, site.anatomy
    with ExitStack() as stack:
        reader, writer = model.get_submodule(anatomy.reader), model.get_submodule(anatomy.writer)
        stack.callback(reader.register_forward_pre_hook(read, with_kwargs=True).remove)
        stack.callback(writer.register_forward_hook(write).remove)
        tensors = {name: torch.tensor([list(numbers)]) for name, numbers in batch.items()}
        logits: Tensor = model(**tensors, **settled(model)).logits
    return logits[0, row.place]
