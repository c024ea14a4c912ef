"""Greedy decoding: the likeliest token, and the next, up to the end; whatever defaults a checkpoint brings with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import DynamicCache, GenerationConfig, LogitsProcessor, LogitsProcessorList

from polypatch.sites.last_alone import last_alone
from polypatch.sites.network.shell import with_forwards

TOKENS = 4096
"""Prompt tokens of one batch, about."""

STAGES = 3, 4, 6
"""Tokens of an answer after which a batch goes on without what has ended; few are longer.

Only the last of them counts for models with states, or with an encoder: most of those begin again there.
"""


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

    Only prompts of one length are in a batch: nothing is padded, so no answer hangs on how. A batch takes as long as
    its longest answer; what ends early leaves it in `STAGES`.

    Args:
        model: a causal model, or one that writes about what it reads.
        prompts: n lists of tokens.
        ends: the tokens that end an answer.
        most: tokens of an answer.
        begun: the tokens that stand before every answer of a model that writes about what it reads, its start first.
    """
    writer, found = _Writer(model, ends, most, begun), dict[int, Continuation]()
    by_length: dict[int, list[int]] = defaultdict(list)
    for i, prompt in enumerate(prompts):
        by_length[len(prompt)].append(i)
    for length, members in sorted(by_length.items()):
        size = max(1, TOKENS // length)
        for start in range(0, len(members), size):
            chosen = members[start : start + size]
            found.update(zip(chosen, writer([list(prompts[i]) for i in chosen]), strict=True))
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


class _Draft(NamedTuple):
    """Prompts of one length, and what stands behind them so far.

    Attributes:
        prompts: [n, length].
        ids: [n, m], the tokens that were written.
        shares: [n, m], how likely each was.
        cache: what the model knows of all that; None where it begins anew.
    """

    prompts: Tensor
    ids: Tensor
    shares: Tensor
    cache: DynamicCache | None = None

    def only(self, rows: list[int]) -> _Draft:
        """Some of them."""
        prompts, ids, shares = self.prompts[rows], self.ids[rows], self.shares[rows]
        if self.cache is None:
            return _Draft(prompts, ids[:, :0], shares[:, :0])
        self.cache.reorder_cache(torch.tensor(rows, device=ids.device))  # as beams do, which keep some texts
        return _Draft(prompts, ids, shares, self.cache)


class _Writer:
    """A model, and how it is asked to write."""

    def __init__(self, model: nn.Module, ends: Sequence[int], most: int, begun: Sequence[int]) -> None:
        self.device, self.ends, self.begun = next(model.parameters()).device, ends, begun
        stages = STAGES[-1:] if begun or getattr(model, "_is_stateful", False) else STAGES
        self.stages = (*(stage for stage in stages if stage < most), most)
        self.model: Any = with_forwards(model, {})
        usual = getattr(model, "generation_config", None)
        # Not the checkpoint's own: a penalty or a sampler in it would be another answer.
        self.model.__dict__["generation_config"] = GenerationConfig(
            eos_token_id=list(ends),
            pad_token_id=ends[0],
            bos_token_id=getattr(usual, "bos_token_id", None),
            decoder_start_token_id=begun[0] if begun else None,
        )

    def __call__(self, prompts: list[list[int]]) -> list[Continuation]:
        """What it writes behind prompts of one length."""
        ids = torch.tensor(prompts, device=self.device)
        draft, left = _Draft(ids, ids[:, :0], torch.empty(len(prompts), 0)), list(range(len(prompts)))
        found: dict[int, Continuation] = {}
        for stage in self.stages:
            draft = self._longer(draft, stage)
            written = [_ended(*one, self.ends) for one in zip(draft.ids.tolist(), draft.shares.tolist(), strict=True)]
            open_ended = [row for row, one in enumerate(written) if one.ids[-1] not in self.ends]
            found.update(zip(left, written, strict=True))
            if not open_ended or stage == self.stages[-1]:
                break
            draft, left = draft.only(open_ended), [left[row] for row in open_ended]
        return [found[i] for i in range(len(prompts))]

    def _longer(self, draft: _Draft, most: int) -> _Draft:
        """The same up to so many tokens."""
        ids, sure = torch.cat([draft.prompts, draft.ids], dim=1), _Sureness()
        more = {} if draft.cache is None else {"past_key_values": draft.cache}
        if self.begun:
            more["decoder_input_ids"] = torch.tensor([list(self.begun)] * len(ids), device=self.device)
        with last_alone():
            done = self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                num_beams=1,
                max_new_tokens=most - draft.ids.shape[1],
                logits_processor=LogitsProcessorList([sure]),
                return_dict_in_generate=True,
                **more,
            )
        new = done.sequences[:, len(self.begun) or ids.shape[1] :]
        shares = torch.cat([draft.shares, torch.stack(sure.steps, dim=1).cpu()], dim=1)
        cache = getattr(done, "past_key_values", None)
        cache = cache if type(cache) is DynamicCache else None
        return _Draft(draft.prompts, torch.cat([draft.ids, new], dim=1), shares, cache)


def _ended(tokens: Sequence[int], shares: Sequence[float], ends: Sequence[int]) -> Continuation:
    length = next((i + 1 for i, one in enumerate(tokens) if one in ends), len(tokens))
    return Continuation(tuple(tokens[:length]), min(shares[:length]))
