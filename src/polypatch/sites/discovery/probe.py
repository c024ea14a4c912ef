"""Short made-up texts for one look at a model: rows of tokens, with padding on either side or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from polypatch.sites.network.model_kind import ModelKind, kind_of

LENGTH, PADDED = 12, 4
"""Tokens of a probe, and how much padding it gets. Multiples of 4: some models read characters in fours."""


CHARACTERS = 256
"""Taken for the vocabulary of a model that states none: those read characters."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One text.

    Attributes:
        tokens: its tokens, without padding.
        pad: the padding's token; None where the model names none.
        context: what a model that writes about another text reads, and `tokens` is then what it has written.
    """

    tokens: tuple[int, ...]
    pad: int | None
    context: tuple[int, ...] = ()

    def batch(self, device: torch.device, *, rows: int = 1, left: int = 0, right: int = 0) -> dict[str, Tensor]:
        """The text in `rows` equal rows, with so much padding."""
        pad = self.pad or 0
        row = [pad] * left + list(self.tokens) + [pad] * right
        mask = [0] * left + [1] * len(self.tokens) + [0] * right
        batch = {"input_ids": [row] * rows, "attention_mask": [mask] * rows}
        if self.context:
            batch = {f"decoder_{name}": numbers for name, numbers in batch.items()}
            batch["input_ids"] = [list(self.context)] * rows
            batch["attention_mask"] = [[1] * len(self.context)] * rows
        return {name: torch.tensor(numbers, device=device) for name, numbers in batch.items()}


def probe_of(model: nn.Module, seed: int = 0, length: int = LENGTH) -> Probe:
    """A text of ordinary tokens between the model's own marks for its beginning and end.

    Args:
        model: a model with a configuration.
        seed: another seed, another text.
        length: in tokens.
    """
    special = {name: _entry(model, f"{name}_token_id") for name in ("bos", "cls", "eos", "sep", "pad", "mask")}
    entries = _entry(model, "vocab_size") or CHARACTERS
    generator = torch.Generator().manual_seed(seed)
    taken = {number for number in special.values() if number is not None}
    drawn = [i for i in torch.randint(entries, (20 * length,), generator=generator).tolist() if i not in taken]
    begin = special["cls"] if special["cls"] is not None else special["bos"]
    end = special["eos"] if special["eos"] is not None else special["sep"]
    ends = [one for one in (begin, end) if one is not None and one < entries and one != special["pad"]]
    inner = drawn[: length - len(ends)]
    tokens = [*ends[:1], *inner, *ends[1:]] if begin in ends else [*inner, *ends]
    context = tuple(drawn[length : 2 * length]) if kind_of(model) is ModelKind.SEQ2SEQ else ()
    return Probe(tuple(tokens), special["pad"], context)


def _entry(model: nn.Module, name: str) -> int | None:
    config: Any = model.config
    for place in (config, getattr(config, "text_config", None)):
        value = getattr(place, name, None)
        if isinstance(value, list | tuple):
            value = value[0] if value else None
        if value is not None:
            return int(value)
    return None
