"""Greedy decoding: the likeliest token, and the next, up to the end; whatever defaults a checkpoint brings with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from polypatch.sites.network.shell import with_forwards

TOKENS = 4096
"""Prompt tokens of one batch, about."""

SHORT = 6
"""So many tokens has an answer, as a rule. A batch takes as long as its longest: what is longer is begun again."""


class Continuation(NamedTuple):
    """What a model writes behind one prompt.

    Attributes:
        ids: the tokens, the end included where it came.
        probability: of the least sure of them.
    """

    ids: tuple[int, ...]
    probability: float


@torch.no_grad()
def greedy(
    model: nn.Module, prompts: Sequence[Sequence[int]], ends: Sequence[int], most: int, begun: Sequence[int] = ()
) -> list[Continuation]:
    """What a model writes behind each prompt, in the mode it is in and with the edits that it carries.

    Only prompts of one length are in a batch: nothing is padded, so no answer hangs on how. What has no end
    within `SHORT` tokens is written again, together with others like it.

    Args:
        model: a causal model, or one that writes about what it reads.
        prompts: n lists of tokens.
        ends: the tokens that end an answer.
        most: tokens of an answer.
        begun: the tokens that stand before every answer of a model that writes about what it reads, its start first.
    """
    found = _written(model, prompts, ends, min(SHORT, most), begun)
    longer = [i for i, one in enumerate(found) if one.ids[-1] not in ends] if most > SHORT else []
    for i, one in zip(longer, _written(model, [prompts[i] for i in longer], ends, most, begun), strict=True):
        found[i] = one
    return found


def _written(
    model: nn.Module, prompts: Sequence[Sequence[int]], ends: Sequence[int], most: int, begun: Sequence[int]
) -> list[Continuation]:
    """The same, of up to `most` tokens, at one go."""
    found: dict[int, Continuation] = {}
    by_length: dict[int, list[int]] = defaultdict(list)
    for i, prompt in enumerate(prompts):
        by_length[len(prompt)].append(i)
    for length, members in sorted(by_length.items()):
        size = max(1, TOKENS // length)
        for start in range(0, len(members), size):
            chosen = members[start : start + size]
            written = _batch(model, [list(prompts[i]) for i in chosen], ends, most, begun)
            found.update(zip(chosen, written, strict=True))
    return [found[i] for i in range(len(prompts))]


class _Sureness(LogitsProcessor):  # type: ignore[misc]  # transformers gives no type
    """Writes down how likely each token was that is said."""

    def __init__(self) -> None:
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        del input_ids
        sums = (scores - scores.amax(-1, keepdim=True)).exp_().sum(-1)
        self.steps.append(sums.double().reciprocal().nan_to_num(0.0))
        return scores


def _batch(
    model: nn.Module, prompts: list[list[int]], ends: Sequence[int], most: int, begun: Sequence[int]
) -> list[Continuation]:
    device = next(model.parameters()).device
    ids = torch.tensor(prompts, device=device)
    own: Any = with_forwards(model, {})
    usual = getattr(model, "generation_config", None)
    # Not the checkpoint's own: a penalty or a sampler in it would be another answer.
    own.__dict__["generation_config"] = GenerationConfig(
        eos_token_id=list(ends),
        pad_token_id=ends[0],
        bos_token_id=getattr(usual, "bos_token_id", None),
        decoder_start_token_id=begun[0] if begun else None,
    )
    first = {"decoder_input_ids": torch.tensor([list(begun)] * len(prompts), device=device)} if begun else {}
    sure = _Sureness()
    whole = own.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        num_beams=1,
        max_new_tokens=most,
        logits_processor=LogitsProcessorList([sure]),
        **first,
    )
    new = whole[:, len(begun) or ids.shape[1] :].tolist()
    shares = torch.stack(sure.steps, dim=1).tolist()
    return [_ended(tokens, share, ends) for tokens, share in zip(new, shares, strict=True)]


def _ended(tokens: Sequence[int], shares: Sequence[float], ends: Sequence[int]) -> Continuation:
    length = next((i + 1 for i, one in enumerate(tokens) if one in ends), len(tokens))
    return Continuation(tuple(tokens[:length]), min(shares[:length]))
