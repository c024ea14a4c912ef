"""Whether `generate` writes what a model's own passes say; and where it does not, by what the two differ."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from architectures_page import NOT_WRITTEN, UNEDITED
from polypatch.errors import UnsupportedModelError
from polypatch.sites.network.model_kind import ModelKind, settled
from polypatch.sites.site import FeedForwardSite
from polypatch.sites.tails.tail import UNCHANGED
from polypatch.testing import tiny_texts
from polypatch.testing.agreement import Neuron, shortfall

NEAR = 1e-4
"""Two logits so near, in units of the largest, are as likely."""

TOKENS = 10
"""Written behind a prompt."""


def written(site: FeedForwardSite, tokenizer: PreTrainedTokenizerBase) -> str:
    """Whether greedy decoding writes, under a change, what the rows say; empty where it does."""
    if site.kind is ModelKind.MASKED:
        return ""
    fall: list[float] = []
    try:
        for change in (UNCHANGED, Neuron(site.hidden_size, length=3.0)):
            fall.append(shortfall(site, tokenizer, tiny_texts(4), change))
    except Exception as error:
        return f"{NOT_WRITTEN} {'' if fall else f'{UNEDITED}, '}{short(error)}"
    if max(fall) <= NEAR:
        return ""
    if fall[0] > NEAR and site.kind is ModelKind.CAUSAL:
        prompts = [tokenizer(text)["input_ids"] for text in tiny_texts(4)]
        return f"{NOT_WRITTEN} {UNEDITED}, {_difference(site.model, prompts)}"
    return f"{NOT_WRITTEN} tokens whose logits are {max(fall):.0e} below the likeliest's"


def _difference(model: nn.Module, prompts: list[list[int]]) -> str:
    """What `generate` does with an unedited causal model that a pass over the whole text does not."""
    (prompt, *_), seen = prompts, list[dict[str, Any]]()
    hook = model.register_forward_pre_hook(lambda _, __, given: seen.append(dict(given)), with_kwargs=True)
    _generated(model, prompt, use_cache=False)
    hook.remove()
    first = seen[0]
    if first["input_ids"][0].tolist() != prompt:
        return "it puts other tokens before the model than the text's"
    places = first.get("position_ids")
    if places is not None and _gap(_logits(model, prompt), _logits(model, prompt, position_ids=places)) > NEAR:
        return f"it counts positions from {int(places[0, 0])}, and the model's own pass does not"
    if not _falls(model, prompts, use_cache=False):
        return "its cache holds less than a pass over the whole text reads"
    return "for another reason than tokens, positions or the cache"


def _falls(model: nn.Module, prompts: list[list[int]], **how: Any) -> bool:
    """Whether `generate` writes a token that is less likely than another by a pass over the whole text."""
    for prompt in prompts:
        whole = _generated(model, prompt, **how)
        said = _logits(model, whole[:-1])[len(prompt) - 1 :]
        wrote = said.gather(1, torch.tensor(whole[len(prompt) :]).unsqueeze(1)).squeeze(1)
        if float((said.max(-1).values - wrote).max()) > NEAR * max(1.0, float(said.abs().max())):
            return True
    return False


@torch.no_grad()
def _generated(model: Any, prompt: list[int], **how: Any) -> list[int]:
    ids = torch.tensor([prompt])
    more = {"do_sample": False, "num_beams": 1, "max_new_tokens": TOKENS, "eos_token_id": None, "pad_token_id": 0}
    whole: list[int] = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **more, **how)[0].tolist()
    return whole


@torch.no_grad()
def _logits(model: nn.Module, tokens: list[int], **more: Tensor) -> Tensor:
    """[T, vocabulary]."""
    logits: Tensor = model(input_ids=torch.tensor([tokens]), **more, **settled(model)).logits
    return logits[0]


def _gap(one: Tensor, other: Tensor) -> float:
    """In units of the largest logit."""
    return float((one - other).abs().max()) / max(1.0, float(one.abs().max()))


def short(error: Exception) -> str:
    """What an error says, in one line."""
    words = " ".join(str(error).split())
    return words if isinstance(error, UnsupportedModelError) else f"{type(error).__name__}: {words}"[:160]
